package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
	"github.com/leoflow/secrets-csi/internal/coreserver/metric"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
)

func serveCommand() cli.Command {
	return cli.Command{
		Name:    "serve",
		Summary: "Serves the entries of export files to the callers that the rules allow.",
		Details: `The files are what 'airflow connections export' and 'airflow variables export' write,
JSON or YAML. They, the rules and the certificates are read again when they change;
replace a file by renaming a new one over it. One that is wrong changes nothing, and
the log names its line. With --airflow-db what Airflow's own database holds is served, too; it is
looked at every second.

Everybody is denied everything that no rule allows. Every decision is one JSON line of
the audit log. Keys come from files, or from LEOFLOW_JWT_KEY and LEOFLOW_SEAL_KEY.

Callers are task instances, known by tokens of core's own (jwt), or pods, known by the
tokens of their service accounts (tokenreview), or both. A token signed by HMAC is taken
for the former. Kubernetes is asked about all others, and core needs the right to ask,
which the ClusterRole system:auth-delegator has.

Drivers may watch for changes with a client certificate or with the token of a service
account that is among --node-service-accounts. Others poll.

In a cluster core may make its certificate itself, and renews it: --certificate-secret. It needs
the rights to get and to patch that Secret and the ConfigMap of --certificate-trust.`,
		Examples: `# serve two files to the callers that rules.yaml names
core serve --connections connections.json --variables variables.json --rules rules.yaml --cert tls.crt --key tls.key --jwt-key-file jwt.key
# let nodes that have a certificate of ca.crt watch for changes
core serve --connections connections.yaml --rules rules.yaml --cert tls.crt --key tls.key --client-ca ca.crt --jwt-key-file jwt.key
# what Airflow's own database holds
core serve --airflow-db db-url --airflow-fernet-keys fernet-keys --rules rules.yaml --cert tls.crt --key tls.key --jwt-key-file jwt.key
# in a cluster: know pods by their service accounts, and let the driver's pods watch
core serve --connections connections.json --rules rules.yaml --cert tls.crt --key tls.key --auth tokenreview --node-service-accounts leoflow/leoflow-driver`,
		Bind: bindServe,
	}
}

// serveFlags are the flags that need work before they are a coreserver.Config.
type serveFlags struct {
	auth                          authFlags
	certificate                   certificateFlags
	listen, sealKeyFile           string
	auditLog, nodeNames, contract string
	metricsAddress                string
	logFormat, logLevel           string
}

func bindServe(flags *flag.FlagSet) cli.Run {
	var config coreserver.Config
	var raw serveFlags
	flags.StringVar(&raw.listen, "listen", ":7443", "the `address` to serve on")
	flags.StringVar(&config.Connections, "connections", "", "the export `file` of connections")
	flags.StringVar(&config.Variables, "variables", "", "the export `file` of variables")
	flags.StringVar(&config.Entries, "entries", "", "the `folder` of teams' export files: TEAM/connections.json, TEAM.variables.yaml")
	bindMetastore(flags, &config.Metastore)
	flags.BoolVar(&config.AllowEmpty, "allow-empty", false, "start on files without entries, too")
	flags.StringVar(&config.Rules, "rules", "", "the `file` of rules, or a folder with the admin's as admin.yaml and those of teams; needed")
	flags.StringVar(&config.Cert, "cert", "", "the PEM `file` of core's certificate and its chain")
	flags.StringVar(&config.Key, "key", "", "the PEM `file` of the certificate's private key")
	flags.StringVar(&config.ClientCA, "client-ca", "", "the PEM `file` of the CA whose client certificates are nodes'; such may watch")
	flags.StringVar(&raw.nodeNames, "node-names", "*", "comma-separated `patterns` of certificate names that may watch")
	flags.StringVar(&raw.metricsAddress, "metrics-address", "", "the `address` of /metrics and /healthz, which anybody may read; without it there are none")
	raw.certificate.bind(flags)
	raw.auth.bind(flags)
	flags.StringVar(&raw.sealKeyFile, "seal-key-file", "", "the `file` with the key of sealed values, 32 bytes as base64 or hex")
	flags.StringVar(&raw.auditLog, "audit-log", "-", "the `file` to append audit records to; - is standard output")
	flags.IntVar(&config.CallerAuditRate, "caller-audit-rate", audit.LongRun, "the `bytes` a second that the audit log takes of what one caller is given, and those of 15 minutes at once; a caller who is over that is given nothing for a while")
	flags.StringVar(&raw.contract, "contract", string(coreserver.Both), "the `contract` to serve: both, agent (the existing one alone) or secrets")
	flags.BoolVar(&config.LegacyURIs, "legacy-uris", false, "print URIs in the existing contract as cores in the field do, underscores in schemes included; to test clients against them")
	flags.BoolVar(&config.Plaintext, "plaintext-loopback", false, "for development: no TLS, on a loopback address alone")
	flags.IntVar(&config.MaxConnections, "max-connections", 0, "the greatest `number` of connections in all; 0 reckons it from the container's memory limit, 48 KiB each in half of it")
	flags.IntVar(&config.MaxPeerConnections, "max-peer-connections", gate.MostOfPeer, "the greatest `number` of connections of one address: raise it where many nodes come from one")
	flags.DurationVar(&config.Heartbeat, "heartbeat", 30*time.Second, "how often a silent watch says that it lives")
	flags.DurationVar(&config.Poll, "poll", 10*time.Second, "how often files are read though nothing told of a change")
	flags.DurationVar(&config.Grace, "grace", 10*time.Second, "how long calls in flight may take once core stops")
	flags.StringVar(&raw.logFormat, "log-format", "text", "the log's `format`: text or json")
	flags.StringVar(&raw.logLevel, "log-level", "info", "the log's `level`: debug, info, warn or error")
	return func(ctx context.Context, streams cli.Streams, _ []string) error {
		return serve(ctx, streams, config, raw)
	}
}

func serve(ctx context.Context, streams cli.Streams, config coreserver.Config, raw serveFlags) error {
	metrics := metric.New()
	config.Observer = metrics
	if err := fill(&config, raw, streams.Err); err != nil {
		return err
	}
	records, closeAudit, err := openAudit(raw.auditLog, streams.Out)
	if err != nil {
		return err
	}
	defer closeAudit()
	config.Audit = records
	config.Memory = limitMemory(os.DirFS("/"))
	stopEvents, err := raw.auth.tell(&config)
	if err != nil {
		return err
	}
	defer stopEvents()
	renew, err := raw.certificate.keep(ctx, &config, raw.auth.ownKubeconfig())
	if err != nil {
		return err
	}
	server, err := coreserver.New(config)
	if err != nil {
		return err
	}
	stopPages, err := servePages(ctx, raw.metricsAddress, server, metrics, config.Log)
	if err != nil {
		return err
	}
	defer stopPages()
	defer renew(ctx, server.Reload)()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", raw.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	return server.Serve(ctx, listener)
}

// misuse is what is wrong with the flags alone.
func misuse(config coreserver.Config, raw serveFlags) error {
	switch {
	case config.Rules == "":
		return cli.Usagef("no rules; give --rules, a file that says who may read what ('rules: []' denies everything)")
	case config.Connections == "" && config.Variables == "" && config.Entries == "" && config.Metastore.URLFile == "":
		return cli.Usagef("nothing to serve; give --connections, --variables, --entries or --airflow-db")
	case metastoreMisuse(config.Metastore) != nil:
		return metastoreMisuse(config.Metastore)
	case !slices.Contains([]coreserver.Contract{coreserver.Both, coreserver.Agent, coreserver.Secrets}, coreserver.Contract(raw.contract)):
		return cli.Usagef("--contract=%s: want both, agent or secrets", raw.contract)
	case config.MaxConnections < 0 || config.MaxPeerConnections <= 0:
		return cli.Usagef("--max-connections=%d --max-peer-connections=%d: want 0 or more, and more than 0", config.MaxConnections, config.MaxPeerConnections)
	case config.CallerAuditRate <= 0:
		return cli.Usagef("--caller-audit-rate=%d: want more than 0", config.CallerAuditRate)
	case config.Heartbeat <= 0:
		return cli.Usagef("--heartbeat=%s: want more than 0", config.Heartbeat)
	case config.Poll <= 0:
		return cli.Usagef("--poll=%s: want more than 0", config.Poll)
	case config.Grace <= 0:
		return cli.Usagef("--grace=%s: want more than 0", config.Grace)
	}
	return raw.certificate.misuse(config)
}

// fill makes the rest of config out of raw.
func fill(config *coreserver.Config, raw serveFlags, logOutput io.Writer) (err error) {
	if err := misuse(*config, raw); err != nil {
		return err
	}
	if config.Log, _, err = cli.NewLogger(logOutput, raw.logFormat, raw.logLevel); err != nil {
		return err
	}
	if config.SealKey, err = readSealKey(raw.sealKeyFile); err != nil {
		return err
	}
	for name := range strings.SplitSeq(raw.nodeNames, ",") {
		config.NodeNames = append(config.NodeNames, rule.Pattern(strings.TrimSpace(name)))
	}
	config.Contract = coreserver.Contract(raw.contract)
	return raw.auth.fill(config)
}

// openAudit opens the log for appending.
func openAudit(path string, standard io.Writer) (io.Writer, func(), error) {
	if path == "-" {
		return standard, func() {}, nil
	}
	file, err := audit.OpenFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("--audit-log: %w", err)
	}
	return file, func() { _ = file.Close() }, nil
}
