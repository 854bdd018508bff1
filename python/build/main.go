// Command build writes the wheels of the Python packages.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/wheel"
)

func main() { os.Exit(cli.ExitCode("build", run)) }

func run(context.Context) error {
	source := flag.String("source", ".", "the `directory` of the repository")
	out := flag.String("out", filepath.Join("dist", "wheels"), "the `directory` to write to")
	version := flag.String("version", "dev", "the `version`, as git describe says it")
	flag.Parse()
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	paths, err := wheel.Write(os.DirFS(*source), *out, *version)
	for _, path := range paths {
		fmt.Println(path)
	}
	return err
}
