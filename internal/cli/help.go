package cli

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// help prints the program's page, or that of the command that args name.
func (p Program) help(out io.Writer, args []string) error {
	if len(args) > 0 {
		for _, command := range p.Commands {
			if command.Name == args[0] {
				p.helpBound(out, command)
				return nil
			}
		}
		return p.unknown(args[0])
	}
	if p.Main != nil {
		p.helpBound(out, *p.Main)
	} else {
		p.print(out, "%s\n\nUsage:\n  %s COMMAND [flags]\n", p.Summary, p.Name)
	}
	if len(p.Commands) > 0 {
		p.print(out, "\nCommands:\n")
		width := 0
		for _, command := range p.Commands {
			width = max(width, len(command.Name))
		}
		for _, command := range p.Commands {
			p.print(out, "  %-*s  %s\n", width, command.Name, command.Summary)
		}
		p.print(out, "\n'%s COMMAND --help' tells more.\n", p.Name)
	}
	return nil
}

func (p Program) helpBound(out io.Writer, command Command) {
	flags := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	command.Bind(flags)
	p.helpCommand(out, command, flags)
}

func (p Program) helpCommand(out io.Writer, command Command, flags *flag.FlagSet) {
	p.print(out, "%s\n\nUsage:\n  %s [flags]", command.Summary, p.title(command))
	if command.Args != "" {
		p.print(out, " %s", command.Args)
	}
	p.print(out, "\n")
	if command.Details != "" {
		p.print(out, "\n%s\n", strings.TrimSpace(command.Details))
	}
	p.helpFlags(out, p.own(command, flags))
	if command.TakesMain {
		p.print(out, "\nAnd all flags of '%s --help'.\n", p.Name)
	}
	if command.Examples != "" {
		p.print(out, "\nExamples:\n")
		for line := range strings.Lines(strings.TrimSpace(command.Examples)) {
			p.print(out, "  %s\n", strings.TrimSpace(line))
		}
	}
}

// own are the flags that are the command's own, where it takes those of Main, too.
func (p Program) own(command Command, flags *flag.FlagSet) *flag.FlagSet {
	if !command.TakesMain {
		return flags
	}
	ofMain := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	p.Main.Bind(ofMain)
	own := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	flags.VisitAll(func(f *flag.Flag) {
		if ofMain.Lookup(f.Name) == nil {
			own.Var(f.Value, f.Name, f.Usage)
			own.Lookup(f.Name).DefValue = f.DefValue
		}
	})
	return own
}

func (p Program) helpFlags(out io.Writer, flags *flag.FlagSet) {
	heading := "\nFlags, each with its environment twin:\n"
	flags.VisitAll(func(f *flag.Flag) {
		p.print(out, "%s", heading)
		heading = ""
		kind, usage := flag.UnquoteUsage(f)
		if kind != "" {
			kind = " " + strings.ToUpper(kind)
		}
		p.print(out, "  --%s%s  (%s)\n", f.Name, kind, EnvName(f.Name))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			usage += " (default " + f.DefValue + ")"
		}
		p.print(out, "      %s\n", usage)
	})
}

// print writes help text; there is nobody to tell when that fails.
func (Program) print(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(out, format, args...)
}
