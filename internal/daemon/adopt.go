package daemon

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// GivesAny tells whether a flag besides those of a command's own is given. What the environment gives,
// as that of a container does which kubectl runs this in, it gives the program too.
func GivesAny(flags *flag.FlagSet, own ...string) (given bool) {
	flags.Visit(func(f *flag.Flag) {
		inherited, found := os.LookupEnv(cli.EnvName(f.Name))
		given = given || !slices.Contains(own, f.Name) && (!found || f.Value.String() != inherited)
	})
	return given
}

// Adopt takes the flags of the program that runs as the process, and the environment as that does.
func Adopt(program string, pid int, bind func(*flag.FlagSet)) error {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return cli.Usagef("process %d cannot be looked at (%w): give the %s's flags, or --pid", pid, err, program)
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	bind(flags)
	if err := flags.Parse(args[1:]); err != nil || filepath.Base(args[0]) != program {
		return cli.Usagef("process %d is no %s: give the %s's flags, or --pid", pid, program, program)
	}
	return cli.FromEnvironment(flags)
}
