// Package cli is the face the binaries share: commands with flags, an
// environment twin for every flag, help with examples, exit codes, and what the daemons
// share besides. It imports little, because the agent does.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/internal/nearest"
	"github.com/leoflow/secrets-csi/internal/version"
)

// Exit codes that every program here uses. A command may add its own by ExitError.
const (
	OK      = 0
	Failure = 1
	Misuse  = 2 // the command line or the environment is wrong
)

// Streams are what a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run does the work of a command. args are those after the flags.
type Run func(ctx context.Context, streams Streams, args []string) error

// Command is one verb of a program.
type Command struct {
	Name    string
	Summary string
	// Args shows what follows the flags, such as "-- COMMAND [ARG ...]"; empty for none.
	Args string
	// Details is a paragraph or two below the summary.
	Details string
	// Examples are whole command lines, one a line; a line that begins with "#" explains
	// the next.
	Examples string
	// Bind declares the flags and returns what runs once they are parsed.
	Bind func(flags *flag.FlagSet) Run
	// TakesMain says that Bind declares the flags of Program.Main, too: help names those of the command alone.
	TakesMain bool
	// Failed is told why the command failed, and be it that its flags were wrong. The field may be nil.
	Failed func(why error)
}

// Program is a binary: one command, or several verbs.
type Program struct {
	Name    string
	Summary string
	// Main, when set, runs if no verb is given.
	Main     *Command
	Commands []Command
}

// ExitError carries an exit code other than Failure. A nil Err prints nothing.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// Usagef is an error in how the program was called; it exits with Misuse.
func Usagef(format string, args ...any) error {
	return &ExitError{Misuse, fmt.Errorf(format, args...)}
}

// Execute runs the program on args (without the program's name) and returns its exit
// code. It is the whole of main but for os.Exit.
func (p Program) Execute(ctx context.Context, args []string, streams Streams) int {
	err := p.dispatch(ctx, args, streams)
	var exit *ExitError
	switch {
	case err == nil:
		return OK
	case errors.As(err, &exit):
		if exit.Err != nil {
			_, _ = fmt.Fprintf(streams.Err, "%s: %v\n", p.Name, exit.Err)
		}
		return exit.Code
	default:
		_, _ = fmt.Fprintf(streams.Err, "%s: %v\n", p.Name, err)
		return Failure
	}
}

func (p Program) dispatch(ctx context.Context, args []string, streams Streams) error {
	if len(args) > 0 {
		switch args[0] {
		case "--version", "-version", "version":
			_, _ = fmt.Fprintln(streams.Out, version.Line(p.Name))
			return nil
		case "--help", "-help", "-h", "help":
			return p.help(streams.Out, args[1:])
		}
		for _, command := range p.Commands {
			if command.Name == args[0] {
				return p.run(ctx, command, args[1:], streams)
			}
		}
	}
	if p.Main != nil {
		return p.run(ctx, *p.Main, args, streams)
	}
	if len(args) == 0 {
		_ = p.help(streams.Err, nil)
		return &ExitError{Code: Misuse}
	}
	return p.unknown(args[0])
}

// unknown is the mistake of who names a command that there is not.
func (p Program) unknown(name string) error {
	if near, found := p.nearest(name); found {
		return Usagef("%q is not a command (did you mean %q?); '%s --help' lists them", name, near, p.Name)
	}
	return Usagef("%q is not a command; '%s --help' lists them", name, p.Name)
}

func (p Program) nearest(name string) (string, bool) {
	var names []string
	for _, command := range p.Commands {
		names = append(names, command.Name)
	}
	return nearest.Word(name, names)
}

func (p Program) run(ctx context.Context, command Command, args []string, streams Streams) (err error) {
	if command.Failed != nil {
		defer func() {
			if err != nil {
				command.Failed(err)
			}
		}()
	}
	flags := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	run := command.Bind(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		p.helpCommand(streams.Out, command, flags)
		return nil
	case err != nil:
		return Usagef("%w; '%s --help' lists the flags", asWritten(flags, err), p.title(command))
	}
	if err := FromEnvironment(flags); err != nil {
		return err
	}
	if command.Args == "" && flags.NArg() > 0 {
		if _, isNear := p.nearest(flags.Arg(0)); isNear && p.Main != nil {
			return p.unknown(flags.Arg(0))
		}
		return Usagef("unexpected argument %q; '%s --help' shows the usage", flags.Arg(0), p.title(command))
	}
	return run(ctx, streams, flags.Args())
}

// FromEnvironment sets every flag that the command line left alone from its twin.
func FromEnvironment(flags *flag.FlagSet) error {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var errs []error
	flags.VisitAll(func(f *flag.Flag) {
		value, ok := os.LookupEnv(EnvName(f.Name))
		if !ok || given[f.Name] {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("environment variable %s: %w", EnvName(f.Name), notAValue(f, strconv.Quote(value), err)))
		}
	})
	if len(errs) > 0 {
		return &ExitError{Misuse, errors.Join(errs...)}
	}
	return nil
}

// EnvName is the environment twin of a flag: LEOFLOW_CORE_ADDRESS for core-address.
func EnvName(flagName string) string {
	return "LEOFLOW_" + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

func (p Program) title(command Command) string {
	if p.Main != nil && p.Main.Name == command.Name {
		return p.Name
	}
	return p.Name + " " + command.Name
}
