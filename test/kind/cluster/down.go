package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
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
				return down(ctx, *path, streams)
			}
		},
	}
}

func down(ctx context.Context, path string, streams cli.Streams) error {
	if os.Geteuid() != 0 {
		return cli.Usagef("a node needs root")
	}
	dir, err := state.Open(path)
	if err != nil {
		return err
	}
	if err := dir.Lock(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, teardownTimeout)
	defer cancel()
	// Even without a directory: the name of what a node leaves follows from the path.
	if err := sandbox.Stop(ctx, dir); err != nil {
		return err
	}
	if err := dir.Remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = fmt.Fprintf(streams.Err, "no cluster is in %s\n", dir)
	return err
}
