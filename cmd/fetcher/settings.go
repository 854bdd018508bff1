package main

import (
	"flag"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/daemon"
)

// mostFetchTimeout is what the driver takes for a source at most, less what the fetcher adds. Kubelet
// waits two minutes for a volume.
const mostFetchTimeout = 9 * time.Minute

// settings are the flags.
type settings struct {
	shared daemon.Flags

	nodeID        string
	healthAddress string
	pprofAddress  string

	coreAddress           string
	coreCA                string
	coreCert, coreKey     string
	coreServerName        string
	coreTokenFile         string
	corePlaintextLoopback bool
	fileConnections       string
	fileVariables         string
	kubernetesSecrets     bool
	kubernetesWatch       bool
	kubernetesRules       kubernetesRules
	kubeconfig            string
	events                bool
	startupTaint          bool
	into                  intoSettings
	clouds                cloudSettings
	stores                storeSettings

	fetchTimeout time.Duration
	pollEvery    time.Duration
	offlineGrace time.Duration
}

func (s *settings) bind(flags *flag.FlagSet) {
	s.shared.Bind(flags)
	flags.StringVar(&s.nodeID, "node-id", "", "the `name` of this node in Kubernetes, for --events and --startup-taint")
	flags.StringVar(&s.healthAddress, "health-address", "", "the `address` to answer the HTTP probes /healthz and /readyz and Prometheus's /metrics on, such as :9808; empty for none")
	flags.StringVar(&s.pprofAddress, "pprof-address", "", "the loopback `address`, such as 127.0.0.1:6060, or unix:// socket to serve Go's profiles on under /debug/pprof/; empty for none")

	flags.StringVar(&s.coreAddress, "core-address", "", "core's `host:port`")
	flags.StringVar(&s.coreCA, "core-ca", "", "`file` of the CA certificates that core's must chain to; empty for the system's")
	flags.StringVar(&s.coreCert, "core-cert", "", "`file` of this node's client certificate")
	flags.StringVar(&s.coreKey, "core-key", "", "`file` of that certificate's key")
	flags.StringVar(&s.coreServerName, "core-server-name", "", "the `name` that core's certificate must carry, where that is not the host of --core-address")
	flags.StringVar(&s.coreTokenFile, "core-token-file", "", "`file` of the node's own token, which watches for changes and is shown with every fetch: core takes a pod's token from its node alone; read again as it changes")
	flags.BoolVar(&s.corePlaintextLoopback, "core-plaintext-loopback", false, "speak to core without TLS; for development, and refused unless core is on a loopback address")
	flags.StringVar(&s.fileConnections, "file-connections", "", "a `file` of 'airflow connections export' that the source \"file\" serves to every pod of the node; for development")
	flags.StringVar(&s.fileVariables, "file-variables", "", "a `file` of 'airflow variables export' for the same")

	flags.BoolVar(&s.kubernetesSecrets, "kubernetes-secrets", false, "serve the source \"kubernetes\": Secrets of the pod's namespace, read with the pod's own token")
	flags.BoolVar(&s.kubernetesWatch, "kubernetes-watch", false, "watch the metadata of those Secrets as the fetcher; Kubernetes grants that only together with reading them")
	s.kubernetesRules.bind(flags)
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "`file` that says how to reach the API server; empty in a pod")
	flags.BoolVar(&s.events, "events", false, "write events on the pods whose volumes are in trouble; takes the right to create and patch them")
	flags.BoolVar(&s.startupTaint, "startup-taint", false, "take the taint secrets.csi.leoflow.io/driver-not-ready off the node once kubelet has registered the driver; takes the rights to get csinodes, and to get and patch nodes")
	s.into.bind(flags)
	s.clouds.bind(flags)
	s.stores.bind(flags)

	flags.DurationVar(&s.fetchTimeout, "fetch-timeout", 10*time.Second, "how long one fetch may take")
	flags.DurationVar(&s.pollEvery, "poll-every", 30*time.Second, "how often to look whether a file of --file-connections or --file-variables has changed")
	flags.DurationVar(&s.offlineGrace, "offline-grace", 0, "how long what a pod was given may be given to new pods of the same namespace, service account and request while core is away; 0 for never")
}

// check says everything that is wrong with the settings at once. What concerns core
// alone its client checks.
func (s *settings) check() error {
	var mistakes cli.Mistakes
	mistakes.If(s.nodeID == "" && (s.events || s.startupTaint), "--events and --startup-taint need --node-id; in a pod take it from the field spec.nodeName")
	mistakes.If(len(s.nodeID) > 253, "--node-id has %d characters; a node's name has 253 at most", len(s.nodeID))
	s.shared.Check(&mistakes)
	mistakes.If(s.pprofAddress != "" && !daemon.IsSocket(s.pprofAddress) && !daemon.IsLoopback(s.pprofAddress), "--pprof-address %q is not a loopback address; profiles are for nobody else", s.pprofAddress)
	mistakes.If(s.coreAddress == "" && !s.usesFile() && !s.kubernetesSecrets && !s.usesStores(), "there is nowhere to fetch from: give --core-address, --kubernetes-secrets, the kwargs of a store, or --file-connections for development")
	mistakes.If(s.coreAddress == "" && s.usesCore(), "the --core-… flags need --core-address")
	mistakes.If(!isHostPortOrEmpty(s.coreAddress), "--core-address %q is not host:port; it is a gRPC address without a scheme, such as core.example.com:7443", s.coreAddress)
	s.into.check(&mistakes, s.isForNode())
	mistakes.If(s.kubernetesWatch && !s.kubernetesSecrets, "--kubernetes-watch needs --kubernetes-secrets")
	mistakes.If(s.kubernetesRules != kubernetesRules{} && !s.kubernetesSecrets, "--source-kubernetes-kwargs, --kubernetes-connection-name and --kubernetes-variable-name need --kubernetes-secrets")
	_, err := s.kubernetesRules.read()
	mistakes.Add(err)
	mistakes.Add(s.clouds.check())
	s.checkStores(&mistakes)
	mistakes.If(s.fetchTimeout <= 0 || s.fetchTimeout > mostFetchTimeout, "--fetch-timeout must be above 0, and %v at most", mostFetchTimeout)
	mistakes.If(s.pollEvery < time.Second, "--poll-every must be 1s at least")
	mistakes.If(s.offlineGrace < 0, "--offline-grace must not be negative")
	return mistakes.Err()
}

func isHostPortOrEmpty(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return address == "" || err == nil && host != "" && port != "" && !strings.Contains(port, "/")
}

// isForNode tells the flags that only the fetcher of a node has a use for.
func (s *settings) isForNode() bool { return s.events || s.startupTaint || s.offlineGrace != 0 }

func (s *settings) usesCore() bool {
	return s.corePlaintextLoopback ||
		slices.ContainsFunc([]string{s.coreCA, s.coreCert, s.coreKey, s.coreServerName, s.coreTokenFile}, func(value string) bool { return value != "" })
}

func (s *settings) usesFile() bool { return s.fileConnections != "" || s.fileVariables != "" }
