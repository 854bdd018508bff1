// Release builds all that a version is handed out as, or shows that two builds of it are
// the same:
//
//	go run ./release build 0.1.0
//	go run ./release check
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := program().Execute(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

func program() cli.Program {
	return cli.Program{
		Name:     "release",
		Summary:  "Release builds what a version is handed out as: the same bytes from the same commit.",
		Commands: []cli.Command{buildCommand(), checkCommand()},
	}
}

const versionArgument = "[VERSION]"

func buildCommand() cli.Command {
	return cli.Command{
		Name:    "build",
		Summary: "Builds archives, images, chart, lists of contents and checksums.",
		Args:    versionArgument,
		Details: `The version is that of the commit's tag, such as v0.1.0. Without a tag it has to be given;
"snapshot" makes one up from the commit, and is the only one that a checkout with changes
may have. Other tools are built on the way, which takes minutes the first time.`,
		Examples: `# of the tag that is checked out
release build
# to see what a release would be
release build snapshot`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			var o options
			o.bind(flags)
			out := flags.String("out", filepath.Join("dist", "release"), "the `directory` to write to; what is in it goes")
			return func(ctx context.Context, streams cli.Streams, args []string) error {
				given, err := versionOf(args)
				if err != nil {
					return err
				}
				return build(ctx, given, *out, o, streams)
			}
		},
	}
}

func checkCommand() cli.Command {
	return cli.Command{
		Name:    "check",
		Summary: "Builds the commit in two clones and compares the checksums.",
		Args:    versionArgument,
		Details: `The second build starts with nothing compiled, in another directory and time zone. Changes
that are in no commit are not looked at. The version is "snapshot" unless it is given.`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			var o options
			o.bind(flags)
			return func(ctx context.Context, streams cli.Streams, args []string) error {
				given, err := versionOf(args)
				if err != nil {
					return err
				}
				return check(ctx, given, o, streams)
			}
		},
	}
}

// options narrow what is built, for those who only try it out.
type options struct {
	platforms string
	sbom      bool
}

func (o *options) bind(flags *flag.FlagSet) {
	flags.StringVar(&o.platforms, "platforms", "linux/amd64,linux/arm64", "comma-separated `platforms` to build for")
	flags.BoolVar(&o.sbom, "sbom", true, "list what is in the programs; without, the tool for it need not be built")
}

// arguments are the options as the command line has them.
func (o options) arguments() []string {
	return []string{"--platforms=" + o.platforms, fmt.Sprintf("--sbom=%t", o.sbom)}
}

// versionOf is the version of the command line, empty if there is none.
func versionOf(args []string) (string, error) {
	switch len(args) {
	case 0:
		return "", nil
	case 1:
		return args[0], nil
	default:
		return "", cli.Usagef("one version, not %d", len(args))
	}
}

// say prints a line of progress.
func say(streams cli.Streams, format string, values ...any) {
	_, _ = fmt.Fprintf(streams.Out, format+"\n", values...)
}
