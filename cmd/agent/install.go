package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/pkg/envshim"
)

func installCommand() cli.Command {
	return cli.Command{
		Name:    "install",
		Summary: "Copies the agent into a directory, for images that lack it.",
		Args:    "DIRECTORY",
		Details: `An init container runs it with a shared emptyDir; the other containers then find the agent
there. The copy appears whole, may be repeated, and replaces an older one.`,
		Examples: `agent install /leoflow`,
		Bind: func(*flag.FlagSet) cli.Run {
			return func(_ context.Context, streams cli.Streams, args []string) error {
				if len(args) != 1 {
					return cli.Usagef("which directory? 'agent install DIRECTORY'")
				}
				path, err := envshim.Install(args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(streams.Out, path)
				return err
			}
		},
	}
}
