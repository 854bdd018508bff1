package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/pkg/envshim"
)

const formatNames = "names"

func envCommand() cli.Command {
	return cli.Command{
		Name:    "env",
		Summary: "Prints the names that 'agent exec' would set, or writes the values down.",
		Details: `Every format but "names" holds values. They are written to a file or a pipe, and to a
terminal only with --show-values. A format refuses a value that its readers would not
give back byte for byte.`,
		Examples: `agent env
# for a shell; it stops at names that no shell can set
eval "$(agent env --format export)"
agent env --format json | jq -r .AIRFLOW_VAR_REGION`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			dir := bindDir(flags)
			format := flags.String("format", formatNames, "the `format`: names, plain, dotenv, json or export")
			show := flags.Bool("show-values", false, "write values even to a terminal")
			return func(_ context.Context, streams cli.Streams, _ []string) error {
				if *format != formatNames && isTerminal(streams.Out) && !*show {
					return cli.Usagef("--format %s would print values to the terminal; add --show-values if you mean it", *format)
				}
				return printEnv(streams.Out, *dir, *format)
			}
		},
	}
}

func printEnv(out io.Writer, dir, format string) error {
	snapshot, err := envshim.Read(dir)
	if err != nil {
		return err
	}
	if format != formatNames {
		return envshim.Format(format).Write(out, snapshot.Entries)
	}
	for _, entry := range snapshot.Entries {
		if _, err := fmt.Fprintln(out, entry.Env); err != nil {
			return err
		}
	}
	return nil
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
