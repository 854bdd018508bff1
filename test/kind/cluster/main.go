// Cluster runs a Kubernetes cluster of one real node on this machine, without Docker:
//
//	go run ./cluster up
//
// README.md beside this module tells the rest.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := program().Execute(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

func program() cli.Program {
	return cli.Program{
		Name:    "cluster",
		Summary: "Runs a Kubernetes cluster of one real node on this machine, without Docker.",
		Commands: []cli.Command{
			upCommand(), downCommand(), runCommand(), statusCommand(),
			loadCommand(), execCommand(), rebootCommand(), initCommand(),
		},
	}
}

// cacheDir is where the commands keep things unless told otherwise.
func cacheDir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "leoflow-kind")
}

func stateFlag(flags *flag.FlagSet) *string {
	return flags.String("state", filepath.Join(cacheDir(), "cluster"), "`directory` of the cluster")
}

func timeoutFlag(flags *flag.FlagSet) *time.Duration {
	return flags.Duration("timeout", 3*time.Minute, "how `long` the node may take to be ready")
}
