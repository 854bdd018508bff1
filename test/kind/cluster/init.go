package main

import (
	"context"
	"flag"
	"log/slog"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/test/kind/component"
	"github.com/leoflow/secrets-csi/test/kind/sandbox"
	"github.com/leoflow/secrets-csi/test/kind/state"
	"github.com/leoflow/secrets-csi/test/kind/unit"
)

func initCommand() cli.Command {
	return cli.Command{
		Name:    "init",
		Summary: "Is process 1 of the node. 'up' and 'reboot' start it; it is of no use to a person.",
		Bind: func(flags *flag.FlagSet) cli.Run {
			path := stateFlag(flags)
			return func(ctx context.Context, streams cli.Streams, _ []string) error {
				return initialize(ctx, state.Dir(*path), slog.New(slog.NewTextHandler(streams.Err, nil)))
			}
		},
	}
}

func initialize(ctx context.Context, dir state.Dir, log *slog.Logger) error {
	cluster, err := dir.Cluster()
	if err != nil {
		return err
	}
	return sandbox.Init(ctx, dir, cluster.Binaries, func(ctx context.Context) error {
		supervisor := unit.NewSupervisor(ctx, "/var/log", "/run", log)
		return supervisor.Boot(ctx, component.Stages(componentSettings(dir)))
	})
}
