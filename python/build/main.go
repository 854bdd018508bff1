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
	for _, project := range wheel.Projects {
		built, err := wheel.Build(os.DirFS(*source), project, *version)
		if err != nil {
			return err
		}
		path := filepath.Join(*out, built.Name)
		if err := os.WriteFile(path, built.Content, 0o644); err != nil {
			return err
		}
		fmt.Println(path, len(built.Content))
	}
	return nil
}
