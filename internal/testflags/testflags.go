// Package testflags knows the flags of programs, for their tests.
package testflags

import (
	"flag"
	"maps"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// OfFiles are the flags of all commands that name a file, or files, to read.
func OfFiles(program cli.Program) []string {
	found := map[string]bool{}
	commands := program.Commands
	if program.Main != nil {
		commands = append([]cli.Command{*program.Main}, commands...)
	}
	for _, command := range commands {
		flags := flag.NewFlagSet(command.Name, flag.ContinueOnError)
		command.Bind(flags)
		flags.VisitAll(func(f *flag.Flag) {
			writes := strings.HasPrefix(f.Usage, "write") || strings.Contains(f.Usage, "to append")
			if isFile := strings.Contains(f.Usage, "`file`") || strings.Contains(f.Usage, "`files`"); isFile && !writes {
				found[f.Name] = true
			}
		})
	}
	return slices.Sorted(maps.Keys(found))
}
