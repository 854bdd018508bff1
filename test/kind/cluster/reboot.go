package main

import (
	"context"
	"flag"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/test/kind/sandbox"
	"github.com/leoflow/secrets-csi/test/kind/state"
)

func rebootCommand() cli.Command {
	return cli.Command{
		Name:    "reboot",
		Summary: "Cuts the node's power and starts it again: processes and mounts are gone, the disk is not.",
		Bind: func(flags *flag.FlagSet) cli.Run {
			path, timeout := stateFlag(flags), timeoutFlag(flags)
			return func(ctx context.Context, streams cli.Streams, _ []string) error {
				return reboot(ctx, *path, *timeout, streams)
			}
		},
	}
}

func reboot(ctx context.Context, path string, timeout time.Duration, streams cli.Streams) error {
	if err := requireRoot(); err != nil {
		return err
	}
	dir, err := state.Open(path)
	if err != nil {
		return err
	}
	unlock, err := dir.Lock()
	if err != nil {
		return noCluster(dir, err)
	}
	defer unlock()
	if _, err := dir.Cluster(); err != nil {
		return noCluster(dir, err)
	}
	if err := sandbox.Stop(ctx, dir); err != nil {
		return err
	}
	if err := boot(ctx, dir, timeout, nil); err != nil {
		return abandon(dir, err, streams.Err)
	}
	return nil
}
