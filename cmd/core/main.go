// Command core is the reference core: it serves connections and variables from export
// files, and looks after those files.
package main

import (
	"os"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func main() { os.Exit(program().Run(cli.KeepMemoryPrivate)) }

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
			whyCommand(),
			whoCommand(),
			diffCommand(),
		},
	}
}
