package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/test/kind/sandbox"
	"github.com/leoflow/secrets-csi/test/kind/state"
)

func execCommand() cli.Command {
	return cli.Command{
		Name:    "exec",
		Summary: "Runs a command inside the node, as root, with the node's programs in PATH.",
		Args:    "-- COMMAND [ARG ...]",
		Examples: `# end kubelet the hard way; it is started again
cluster exec -- pkill -9 -x kubelet
# the containers, as containerd sees them
cluster exec -- ctr -n k8s.io containers ls`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			path := stateFlag(flags)
			return func(ctx context.Context, streams cli.Streams, args []string) error {
				return execute(ctx, *path, streams, args)
			}
		},
	}
}

func execute(ctx context.Context, path string, streams cli.Streams, args []string) error {
	if len(args) == 0 {
		return cli.Usagef("no command given")
	}
	dir, err := state.Open(path)
	if err != nil {
		return err
	}
	// An interrupt is the command's own affair: the terminal sends it one too.
	command, err := sandbox.Command(context.WithoutCancel(ctx), dir, args...)
	if err != nil {
		return err
	}
	command.Stdin, command.Stdout, command.Stderr = streams.In, streams.Out, streams.Err
	return exitCode(command.Run())
}

func loadCommand() cli.Command {
	return cli.Command{
		Name:     "load",
		Summary:  "Gives container images to the node; a pod takes them with imagePullPolicy Never or IfNotPresent.",
		Args:     "ARCHIVE ...",
		Details:  "An ARCHIVE is a tar as 'docker save' writes it, or of an OCI image layout.",
		Examples: "cluster load driver.tar core.tar",
		Bind: func(flags *flag.FlagSet) cli.Run {
			path := stateFlag(flags)
			return func(ctx context.Context, _ cli.Streams, args []string) error {
				if len(args) == 0 {
					return cli.Usagef("no archive given")
				}
				dir, err := state.Open(*path)
				if err != nil {
					return err
				}
				return load(ctx, dir, args)
			}
		},
	}
}

func load(ctx context.Context, dir state.Dir, archives []string) error {
	for _, archive := range archives {
		if err := loadOne(ctx, dir, archive); err != nil {
			return fmt.Errorf("loading image %s: %w", archive, err)
		}
	}
	return nil
}

func loadOne(ctx context.Context, dir state.Dir, archive string) error {
	content, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	command, err := sandbox.Command(ctx, dir, "ctr", "--namespace=k8s.io", "images", "import", "-")
	if err != nil {
		return err
	}
	command.Stdin = content
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}
