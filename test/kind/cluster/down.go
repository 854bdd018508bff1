package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/test/kind/sandbox"
	"github.com/leoflow/secrets-csi/test/kind/state"
)

const teardownTimeout = time.Minute

func downCommand() cli.Command {
	return cli.Command{
		Name:    "down",
		Summary: "Ends the cluster and deletes its directory; what is not there any more is no error.",
		Details: "All processes of the node end at once, those of pods too, and mounts, network and\n" +
			"firewall rules end with them. Builds stay in the cache.",
		Bind: func(flags *flag.FlagSet) cli.Run {
			path := stateFlag(flags)
			return func(ctx context.Context, streams cli.Streams, _ []string) error {
				dir, err := state.Open(*path)
				if err != nil {
					return err
				}
				return down(ctx, dir, streams.Err)
			}
		},
	}
}

func down(ctx context.Context, dir state.Dir, progress io.Writer) error {
	if err := requireRoot(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, teardownTimeout)
	defer cancel()
	// Goes on without a directory: the name of what a node leaves follows from the path.
	switch unlock, err := dir.Lock(); {
	case err == nil:
		defer unlock()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := sandbox.Stop(ctx, dir); err != nil {
		return err
	}
	if err := dir.Remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err := fmt.Fprintf(progress, "no cluster is in %s\n", dir)
	return err
}
