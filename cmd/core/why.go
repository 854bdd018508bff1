package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func whyCommand() cli.Command {
	return cli.Command{
		Name:    "why",
		Summary: "Says what one caller would get for an id, and by which rule, or why not.",
		Args:    "NAMESPACE/SERVICEACCOUNT ID",
		Details: `It decides as core would on these files: the caller's team, the rule and its file, the entry,
whose it is and its version; never a value. With --task the caller is a task instance, TENANT/DAG.
It exits with 1 where the caller would not get it.

A version is told where the key is given that core derives versions from: the seal key if there
is one, else the token key, else version.key of the Secret in which core keeps its own certificate,
else the certificate's private key.`,
		Examples: `# of a pod it would be NAMESPACE/SERVICEACCOUNT, without --task
core why --connections connections.json --rules rules.yaml --task acme/daily_report warehouse`,
		Bind: bindWhy,
	}
}

type whyFlags struct {
	files               fileFlags
	jwtKeyFile, keyFile string
	task, variable      bool
	direct              bool
}

func bindWhy(flags *flag.FlagSet) cli.Run {
	var raw whyFlags
	raw.files.bind(flags)
	flags.StringVar(&raw.jwtKeyFile, "jwt-key-file", "", "the `file` with core's token key, if versions are derived from it")
	flags.StringVar(&raw.keyFile, "key", "", "the `file` with version.key, or core's private key as PEM, if versions are derived from it")
	flags.BoolVar(&raw.task, "task", false, "the caller is a task instance: TENANT/DAG")
	flags.BoolVar(&raw.direct, "direct", false, "the caller asks itself, by 'fetcher --into', and no driver for it")
	flags.BoolVar(&raw.variable, "variable", false, "the id is a variable's key; without it, a connection's")
	return func(ctx context.Context, streams cli.Streams, args []string) error {
		if len(args) != 2 {
			return cli.Usagef("want a caller and an id after the flags: NAMESPACE/SERVICEACCOUNT ID, or with --task TENANT/DAG ID")
		}
		return why(ctx, streams.Out, raw, args[0], entry.Name{Kind: kindOf(raw.variable), ID: args[1]})
	}
}

func kindOf(variable bool) entry.Kind {
	if variable {
		return entry.Variable
	}
	return entry.Connection
}

func why(ctx context.Context, out io.Writer, raw whyFlags, caller string, name entry.Name) error {
	subject, err := subjectOf("caller "+caller, caller, raw.task)
	if err != nil {
		return err
	}
	subject.Direct = raw.direct
	if raw.files.rules == "" {
		return cli.Usagef("no rules; give --rules, by which core decides")
	}
	hasVersions := false
	if raw.files.versioner, hasVersions, err = raw.versioner(); err != nil {
		return err
	}
	files, err := raw.files.read(ctx)
	if err != nil {
		return err
	}
	text, given := explain(files, *subject, name, hasVersions)
	if _, err = out.Write(text); err == nil && !given {
		return &cli.ExitError{Code: cli.Failure}
	}
	return err
}

// versioner names versions as a core with these keys does. Without a key it does not: what it
// named would be a plain hash of a value.
func (raw whyFlags) versioner() (versioner store.Versioner, has bool, err error) {
	key, err := readSealKey(raw.files.sealKeyFile)
	if err != nil {
		return store.Versioner{}, false, err
	}
	var shared secret.Text
	switch {
	case key != nil:
		shared = key.Secret()
	case raw.jwtKeyFile != "" || os.Getenv(jwtKeyEnv) != "":
		shared, err = tokenKey(raw.jwtKeyFile)
	default:
		shared, err = readKey("--key", raw.keyFile, "")
	}
	if err != nil || shared.Len() == 0 {
		return store.Versioner{}, false, err
	}
	versioner, err = store.NewVersioner(shared)
	return versioner, true, err
}

// tokenKey is the key as core takes it from its file.
func tokenKey(file string) (secret.Text, error) {
	key, err := readJWTKey(file)
	if err != nil {
		return secret.Text{}, err
	}
	tokens, err := auth.NewTokens(key, time.Hour, time.Now)
	if err != nil {
		return secret.Text{}, fmt.Errorf("%s: %w", keyOrigin(file, jwtKeyEnv), err)
	}
	return tokens.Key(), nil
}

// explain says in a few lines what subject gets for name.
func explain(files *store.Store, subject rule.Subject, name entry.Name, hasVersions bool) (text []byte, given bool) {
	snapshot := files.Current()
	view := snapshot.Rules.For(subject)
	ruling := snapshot.Decide(view, name)
	var lines bytes.Buffer
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&lines, "%-8s %s\n", what, fmt.Sprintf(format, args...))
	}
	line("team", "%s", orNone(view.Team))
	switch ruling.Answer {
	case store.Given:
		_, err := files.Open(ruling.Entry)
		given = err == nil
		line("answer", "%s", map[bool]string{true: "given", false: "invalid"}[given])
		if err != nil {
			line("because", "%s", err)
		}
	case store.Missing:
		line("answer", "missing")
		line("because", "a rule lets this caller read it, and there is no such entry %s", ofWhom(view.Team))
	case store.Undecided:
		line("answer", "undecided")
		line("because", "%s", ruling.Detail)
	default:
		line("answer", "denied")
		line("because", "%s", ruling.Detail)
	}
	if ruling.Rule != nil {
		line("rule", "%s", ruling.Rule)
	}
	if e := ruling.Entry; e.Name.ID != "" {
		line("entry", "%s, %s", e.Origin, ofWhom(e.Team))
		if hasVersions {
			line("version", "%s", e.Version)
		}
	}
	for _, status := range files.Status() {
		if status.Fault != "" && (status.Team == view.Team || status.Team == "") {
			line("but", "not in force: %s", status.Fault)
		}
	}
	return lines.Bytes(), given
}

func orNone(team string) string {
	if team == "" {
		return "none"
	}
	return team
}

func ofWhom(team string) string {
	if team == "" {
		return "for all"
	}
	return "of team " + team
}
