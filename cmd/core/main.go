// Command core is the reference core: it serves connections and variables from export
// files, and looks after those files.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func main() {
	if err := keepMemoryPrivate(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "core:", err)
		os.Exit(cli.Failure)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	code := program().Execute(ctx, os.Args[1:], streams)
	stop()
	os.Exit(code)
}

func program() cli.Program {
	return cli.Program{
		Name:    "core",
		Summary: "core is Leoflow's reference core: it serves Airflow connections and variables from export files.",
		Commands: []cli.Command{
			serveCommand(),
			tokenCommand(),
			sealCommand(),
			checkCommand(),
			renderCommand(),
		},
	}
}
