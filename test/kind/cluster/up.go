package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/test/kind/build"
	"github.com/leoflow/secrets-csi/test/kind/component"
	"github.com/leoflow/secrets-csi/test/kind/debian"
	"github.com/leoflow/secrets-csi/test/kind/image"
	"github.com/leoflow/secrets-csi/test/kind/sandbox"
	"github.com/leoflow/secrets-csi/test/kind/state"
)

// upSettings are the flags of up.
type upSettings struct {
	module, cache, state, version string
	timeout                       time.Duration
}

func upCommand() cli.Command {
	return cli.Command{
		Name:    "up",
		Summary: "Starts a cluster: installs and builds what it needs, and waits until its node is ready.",
		Details: "Needs root. On an error or an interrupt nothing is left running.",
		Examples: `# the newest Kubernetes that is pinned here
cluster up
# another minor version
cluster up --kubernetes-version=v1.35`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			settings := bindUp(flags)
			return func(ctx context.Context, streams cli.Streams, _ []string) error {
				dir, err := up(ctx, settings(), streams.Err)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(streams.Out, "export KUBECONFIG=%s\n", dir.Kubeconfig())
				return err
			}
		},
	}
}

// bindUp declares the flags of up. The settings are there once they are parsed.
func bindUp(flags *flag.FlagSet) func() upSettings {
	module := flags.String("module", ".", "`directory` of test/kind")
	cache := flags.String("cache", cacheDir(), "`directory` that keeps builds")
	version := flags.String("kubernetes-version", "", "`version` or minor version; the newest if empty")
	path, timeout := stateFlag(flags), timeoutFlag(flags)
	return func() upSettings { return upSettings{*module, *cache, *path, *version, *timeout} }
}

// up returns the directory of a cluster that is ready for pods.
func up(ctx context.Context, settings upSettings, progress io.Writer) (state.Dir, error) {
	if err := requireRoot(); err != nil {
		return "", err
	}
	cluster, err := prepare(ctx, settings, progress)
	if err != nil {
		return "", err
	}
	started := time.Now()
	dir, err := state.Create(settings.state)
	if err != nil {
		return "", err
	}
	unlock, err := dir.Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := configure(ctx, dir, cluster); err != nil {
		return "", err
	}
	images, err := image.Build(ctx, settings.module, dir.Path("images"))
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintf(progress, "starting Kubernetes %s\n", cluster.Version)
	if err := boot(ctx, dir, settings.timeout, images); err != nil {
		return "", abandon(dir, err, progress)
	}
	_, _ = fmt.Fprintf(progress, "ready after %s\n", time.Since(started).Round(100*time.Millisecond))
	return dir, nil
}

func requireRoot() error {
	if os.Geteuid() != 0 {
		return cli.Usagef("a node needs root")
	}
	return nil
}

// prepare gets the programs that a cluster is made from, and starts nothing.
func prepare(ctx context.Context, settings upSettings, progress io.Writer) (state.Cluster, error) {
	source := filepath.Join(settings.module, "node")
	version, err := build.Resolve(source, settings.version)
	if err != nil {
		return state.Cluster{}, err
	}
	if err := debian.Install(ctx, debian.Missing(), progress); err != nil {
		return state.Cluster{}, err
	}
	binaries, err := build.Node(ctx, source, settings.cache, version, progress)
	return state.Cluster{Version: version, Binaries: binaries}, err
}

// configure makes the directory that of a new cluster.
func configure(ctx context.Context, dir state.Dir, cluster state.Cluster) error {
	if _, running := sandbox.Running(dir); running {
		return fmt.Errorf("a cluster runs in %s already; 'down' ends it", dir)
	}
	// What an earlier one left if it crashed.
	if err := sandbox.Stop(ctx, dir); err != nil {
		return err
	}
	if err := dir.Renew(cluster); err != nil {
		return err
	}
	if err := component.Configure(dir.Path("etc"), componentSettings(dir)); err != nil {
		return err
	}
	return os.Rename(dir.Path("etc", "admin.kubeconfig"), dir.Kubeconfig())
}

func componentSettings(dir state.Dir) component.Settings {
	_, node := dir.Addresses()
	return component.Settings{Name: dir.Name(), NodeAddress: node, PauseImage: image.Pause}
}

// boot starts the node, gives it the images, and returns when it is ready for pods.
func boot(ctx context.Context, dir state.Dir, timeout time.Duration, images []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not ready within %s", timeout))
	defer cancel()
	started := time.Now()
	settle := func() error {
		if err := load(ctx, dir, images); err != nil {
			return err
		}
		return awaitReady(ctx, dir, started)
	}
	return sandbox.Start(ctx, dir, settle, "init", "--state="+string(dir))
}

// abandon ends what could not be started. The directory stays, for its logs.
func abandon(dir state.Dir, cause error, progress io.Writer) error {
	_, _ = fmt.Fprintln(progress, "ending the node; its directory stays until the next 'up' or 'down'")
	ctx, cancel := context.WithTimeout(context.Background(), teardownTimeout)
	defer cancel()
	if err := sandbox.Stop(ctx, dir); err != nil {
		return fmt.Errorf("%w; moreover: %w", cause, err)
	}
	return cause
}
