package main

import (
	"context"
	"flag"
	"io"
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
value byte for byte what the pod's environment would hold.`,
		Examples: `# everything, values masked
core render --connections connections.json --variables variables.json
# what one service account would get
core render --connections connections.json --rules rules.yaml --as team-a/airflow-worker
# one value as a program reads it
core render --connections connections.json --json | jq -r .connections.warehouse`,
		Bind: bindRender,
	}
}

type renderFlags struct {
	files              fileFlags
	as, asTask, format string
	showValues, json   bool
}

func bindRender(flags *flag.FlagSet) cli.Run {
	var raw renderFlags
	raw.files.bind(flags)
	flags.StringVar(&raw.as, "as", "", "the pod to render for, as `NAMESPACE/SERVICEACCOUNT`, by --rules")
	flags.StringVar(&raw.asTask, "as-task", "", "the task instance to render for, as `TENANT/DAG`, by --rules")
	flags.StringVar(&raw.format, "format", string(render.URI), "how connections are written: `uri` or json")
	flags.BoolVar(&raw.showValues, "show-values", false, "show values in the table")
	flags.BoolVar(&raw.json, "json", false, "print JSON, values included")
	return func(ctx context.Context, streams cli.Streams, _ []string) error {
		return renderFiles(ctx, streams.Out, raw)
	}
}

func renderFiles(ctx context.Context, out io.Writer, raw renderFlags) error {
	subject, err := raw.subject()
	if err != nil {
		return err
	}
	format := render.Format(raw.format)
	if format != render.URI && format != render.JSON {
		return cli.Usagef("--format=%s: want uri or json", raw.format)
	}
	files, err := raw.files.read(ctx)
	if err != nil {
		return err
	}
	shown := newPreview(files, format, subject)
	if raw.json {
		return shown.writeJSON(out)
	}
	return shown.writeTable(out, raw.showValues)
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
