package main

import (
	"context"
	"flag"
	"strings"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/fetch/render"
)

func renderCommand() cli.Command {
	return cli.Command{
		Name:    "render",
		Summary: "Shows what a pod would get of export files: environment variables, files, notices.",
		Details: `Without --rules that is everything; with them it is what the caller of --as or --as-task
may read. An entry that cannot be delivered is a notice and spoils no other.

The table masks values unless --show-values is given. --json is for programs and holds
them: {"connections": {id: value}, "variables": {key: value}, "notices": [...]}, each
value byte for byte what the pod's environment would hold.

--format=secret writes a Secret that kubectl applies, its keys the names of the environment
variables, for envFrom; --format=airflow-secrets one for each entry, as Airflow's own
Kubernetes backend finds them. Both hold the values. It exits with 1 where an entry is not
among them. What is given up for that: docs/render-secrets.md.`,
		Examples: `# everything, values masked
core render --connections connections.json --variables variables.json
# what one service account would get
core render --connections connections.json --rules rules.yaml --as team-a/airflow-worker
# one value as a program reads it
core render --connections connections.json --json | jq -r .connections.warehouse
# a Secret, where a Secret is wanted
core render --connections connections.json --rules rules.yaml --as team-a/airflow-worker --format secret --secret-name task-entries`,
		Bind: bindRender,
	}
}

type renderFlags struct {
	files              fileFlags
	as, asTask, format string
	showValues, json   bool
	// secretName and secretNamespace are of the manifests.
	secretName, secretNamespace string
}

func bindRender(flags *flag.FlagSet) cli.Run {
	var raw renderFlags
	raw.files.bind(flags)
	flags.StringVar(&raw.as, "as", "", "the pod to render for, as `NAMESPACE/SERVICEACCOUNT`, by --rules")
	flags.StringVar(&raw.asTask, "as-task", "", "the task instance to render for, as `TENANT/DAG`, by --rules")
	flags.StringVar(&raw.format, "format", string(render.URI), "the `format` of connections: uri or json; secret or airflow-secrets for manifests of Kubernetes")
	flags.StringVar(&raw.secretName, "secret-name", "leoflow-entries", "the `name` of the Secret of --format=secret")
	flags.StringVar(&raw.secretNamespace, "secret-namespace", "", "the `namespace` that manifests name; empty for none")
	flags.BoolVar(&raw.showValues, "show-values", false, "show values in the table")
	flags.BoolVar(&raw.json, "json", false, "print JSON, values included")
	return func(ctx context.Context, streams cli.Streams, _ []string) error {
		return renderFiles(ctx, streams, raw)
	}
}

func renderFiles(ctx context.Context, streams cli.Streams, raw renderFlags) error {
	subject, err := raw.subject()
	if err != nil {
		return err
	}
	format := render.Format(raw.format)
	isManifest := format == formatSecret || format == formatAirflowSecrets
	switch {
	case isManifest && (raw.json || raw.showValues):
		return cli.Usagef("--format=%s writes manifests, and goes with neither --json nor --show-values", raw.format)
	case isManifest:
		format = render.URI
	case format != render.URI && format != render.JSON:
		return cli.Usagef("--format=%s: want uri, json, secret or airflow-secrets", raw.format)
	}
	files, err := raw.files.read(ctx)
	if err != nil {
		return err
	}
	shown := newPreview(files, format, subject)
	switch {
	case isManifest:
		return shown.writeManifests(streams, raw)
	case raw.json:
		return shown.writeJSON(streams.Out)
	default:
		return shown.writeTable(streams.Out, raw.showValues)
	}
}

// subject is nil where everything is to be rendered: without rules nothing is denied.
func (raw renderFlags) subject() (*rule.Subject, error) {
	subject, err := raw.caller()
	if err != nil || raw.files.rules == "" {
		return nil, err
	}
	if subject == nil {
		return nil, cli.Usagef("--rules needs a caller to decide about: give --as or --as-task")
	}
	return subject, nil
}

// caller is nil where none is named.
func (raw renderFlags) caller() (*rule.Subject, error) {
	switch {
	case raw.as != "" && raw.asTask != "":
		return nil, cli.Usagef("--as and --as-task exclude each other")
	case raw.as != "":
		return subjectOf("--as", raw.as, false)
	case raw.asTask != "":
		return subjectOf("--as-task", raw.asTask, true)
	default:
		return nil, nil
	}
}

// subjectOf reads a pod's NAMESPACE/SERVICEACCOUNT or a task instance's TENANT/DAG, which what
// gives.
func subjectOf(what, text string, task bool) (*rule.Subject, error) {
	if task {
		tenant, dag, err := halves(what, text, "TENANT/DAG")
		return &rule.Subject{Tenant: tenant, DAG: dag}, err
	}
	namespace, account, err := halves(what, text, "NAMESPACE/SERVICEACCOUNT")
	return &rule.Subject{Namespace: namespace, ServiceAccount: account}, err
}

func halves(flag, text, want string) (first, second string, err error) {
	first, second, found := strings.Cut(text, "/")
	if !found || first == "" || second == "" {
		return "", "", cli.Usagef("%s=%s: want %s", flag, text, want)
	}
	return first, second, nil
}
