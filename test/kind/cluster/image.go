package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/test/kind/image"
)

func imageCommand() cli.Command {
	return cli.Command{
		Name:     "image",
		Summary:  "Writes the images that tests use into a directory, for a cluster that is not this program's.",
		Args:     "DIRECTORY",
		Details:  "Prints the paths of the archives. 'up' loads them by itself.",
		Examples: "cluster image /tmp/images",
		Bind: func(flags *flag.FlagSet) cli.Run {
			module := flags.String("module", ".", "`directory` of test/kind")
			return func(ctx context.Context, streams cli.Streams, args []string) error {
				if len(args) != 1 {
					return cli.Usagef("which directory?")
				}
				archives, err := image.Build(ctx, *module, args[0])
				for _, archive := range archives {
					_, _ = fmt.Fprintln(streams.Out, archive)
				}
				return err
			}
		},
	}
}
