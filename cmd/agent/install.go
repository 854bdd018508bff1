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
there. The copy appears whole, may be repeated, and replaces an older one. With --python the
wheel of leoflow_runtime, which Python imports from as it is, is copied beside it.`,
		Examples: `agent install /leoflow
agent install --python /leoflow`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			python := flags.Bool("python", false, "copy the Python package too")
			return func(_ context.Context, streams cli.Streams, args []string) error {
				if len(args) != 1 {
					return cli.Usagef("which directory? 'agent install DIRECTORY'")
				}
				installers := []func(string) (string, error){envshim.Install}
				if *python {
					installers = append(installers, envshim.InstallPython)
				}
				for _, install := range installers {
					path, err := install(args[0])
					if err != nil {
						return err
					}
					if _, err := fmt.Fprintln(streams.Out, path); err != nil {
						return err
					}
				}
				return nil
			}
		},
	}
}
