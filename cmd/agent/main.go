// Command agent runs in the container: it hands what the driver delivered into the
// volume to a program, as environment variables.
package main

import (
	"context"
	"errors"
	"flag"
	"os"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/pkg/envshim"
)

func main() {
	envshim.ForbidCoreDump() // nearly every command reads values
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	os.Exit(program().Execute(context.Background(), os.Args[1:], streams))
}

func program() cli.Program {
	return cli.Program{
		Name:    "agent",
		Summary: "agent hands Leoflow's secrets to a program as environment variables.",
		Commands: []cli.Command{
			execCommand(),
			envCommand(),
			checkCommand(),
			waitCommand(),
			installCommand(),
		},
	}
}

func bindDir(flags *flag.FlagSet) *string {
	dir := envshim.DefaultDir
	flags.Var((*directory)(&dir), "dir", "the `directory` where the volume is mounted")
	return &dir
}

// directory is the path of one; nothing, as an unset variable of a template leaves, is none.
type directory string

func (d *directory) String() string { return string(*d) }

func (d *directory) Set(path string) error {
	if path == "" {
		return errors.New("no directory is named")
	}
	*d = directory(path)
	return nil
}
