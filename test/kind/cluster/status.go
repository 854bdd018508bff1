package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/test/kind/sandbox"
	"github.com/leoflow/secrets-csi/test/kind/state"
)

func statusCommand() cli.Command {
	return cli.Command{
		Name:    "status",
		Summary: "Tells whether the cluster runs, and where; fails if it does not.",
		Bind: func(flags *flag.FlagSet) cli.Run {
			path := stateFlag(flags)
			return func(_ context.Context, streams cli.Streams, _ []string) error {
				return status(*path, streams)
			}
		},
	}
}

func status(path string, streams cli.Streams) error {
	dir, err := state.Open(path)
	if err != nil {
		return err
	}
	cluster, err := dir.Cluster()
	if err != nil {
		return noCluster(dir, err)
	}
	pid, running := sandbox.Running(dir)
	if !running {
		return fmt.Errorf("the cluster in %s does not run", dir)
	}
	_, node := dir.Addresses()
	_, err = fmt.Fprintf(streams.Out, "version     %s\nnode        %s\naddress     %s\nprocess     %d\nkubeconfig  %s\nkubectl     %s\nlogs        %s\n",
		cluster.Version, dir.Name(), node, pid, dir.Kubeconfig(), cluster.Binaries+"/kubectl", dir.Path("var", "log"))
	return err
}

// noCluster says why the directory's record could not be read.
func noCluster(dir state.Dir, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no cluster is in %s; 'up' starts one", dir)
	}
	return err
}
