package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func execute(args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	greet := Command{
		Name: "greet", Summary: "Greets someone.", Args: "NAME", Details: "Politely.",
		Examples: "# by name\nprog greet --times 2 Ada",
		Bind: func(flags *flag.FlagSet) Run {
			times := flags.Int("times", 1, "how `often`")
			flags.Duration("wait", 0, "how long to wait")
			flags.Bool("loud", false, "shout")
			flags.Var(new(Size), "much", "the `size`")
			return func(_ context.Context, streams Streams, args []string) error {
				switch {
				case len(args) == 0:
					return Usagef("whom to greet?")
				case args[0] == "nobody":
					return errors.New("nobody is there")
				case args[0] == "quiet":
					return &ExitError{Code: 7}
				}
				for range *times {
					fmt.Fprintln(streams.Out, "hello", args[0])
				}
				return nil
			}
		},
	}
	idle := Command{Name: "idle", Summary: "Does nothing.", Bind: func(*flag.FlagSet) Run {
		return func(context.Context, Streams, []string) error { return nil }
	}}
	look := Command{Name: "look", Summary: "Looks.", TakesMain: true, Bind: func(flags *flag.FlagSet) Run {
		flags.Bool("json", false, "print JSON")
		return greet.Bind(flags)
	}}
	if len(args) > 0 && args[0] == "look" {
		program := Program{Name: "prog", Main: &greet, Commands: []Command{look}}
		code = program.Execute(context.Background(), args, Streams{Out: &stdout, Err: &stderr})
		return code, stdout.String(), stderr.String()
	}
	program := Program{Name: "prog", Summary: "A program.", Commands: []Command{greet, idle}}
	code = program.Execute(context.Background(), args, Streams{Out: &stdout, Err: &stderr})
	return code, stdout.String(), stderr.String()
}

func TestExecute(t *testing.T) {
	for _, row := range []struct {
		args      []string
		code      int
		out, errs string
	}{
		{[]string{"greet", "Ada"}, OK, "hello Ada\n", ""},
		{[]string{"greet", "--times=2", "Ada"}, OK, "hello Ada\nhello Ada\n", ""},
		{[]string{"greet", "nobody"}, Failure, "", "prog: nobody is there\n"},
		{[]string{"greet", "quiet"}, 7, "", ""},
		{[]string{"greet"}, Misuse, "", "prog: whom to greet?\n"},
		{[]string{"greet", "--tines=2", "Ada"}, Misuse, "",
			"prog: --tines is not a flag (did you mean --times?); 'prog greet --help' lists the flags\n"},
		{[]string{"greet", "--times=x", "Ada"}, Misuse, "",
			"prog: --times: \"x\" is not a whole number that this takes; 'prog greet --help' lists the flags\n"},
		{[]string{"greet", "--times=99999999999999999999", "Ada"}, Misuse, "",
			"prog: --times: \"99999999999999999999\" is not a whole number that this takes; 'prog greet --help' lists the flags\n"},
		{[]string{"greet", "--wait=1 for flag -times: d", "Ada"}, Misuse, "",
			"prog: --wait: \"1 for flag -times: d\" is not a duration; write it like \"90s\" or \"5m\"; 'prog greet --help' lists the flags\n"},
		{[]string{"greet", "--loud=si", "Ada"}, Misuse, "",
			"prog: --loud: \"si\" is neither true nor false; 'prog greet --help' lists the flags\n"},
		{[]string{"greet", "--much=4M", "Ada"}, Misuse, "",
			"prog: --much: \"4M\" is not a size; write it like 4Mi; 'prog greet --help' lists the flags\n"},
		{[]string{"greet", "--fast", "Ada"}, Misuse, "", "prog: --fast is not a flag; 'prog greet --help' lists the flags\n"},
		{[]string{"greet", "--times"}, Misuse, "", "prog: --times: its value is missing; 'prog greet --help' lists the flags\n"},
		{[]string{"greet", "---times"}, Misuse, "", "prog: bad flag syntax: ---times; 'prog greet --help' lists the flags\n"},
		{[]string{"idle", "hands"}, Misuse, "", "prog: unexpected argument \"hands\"; 'prog idle --help' shows the usage\n"},
		{[]string{"grete"}, Misuse, "", "prog: \"grete\" is not a command (did you mean \"greet\"?); 'prog --help' lists them\n"},
		{[]string{"help", "work"}, Misuse, "", "prog: \"work\" is not a command; 'prog --help' lists them\n"},
		{[]string{"--version"}, OK, "prog dev (" + runtime.Version() + ")\n", ""},
	} {
		code, out, errs := execute(row.args...)
		assert.Equal(t, row.code, code, row.args)
		assert.Equal(t, row.out, out, row.args)
		assert.Equal(t, row.errs, errs, row.args)
	}
}

func TestHelp(t *testing.T) {
	code, out, _ := execute("greet", "--help")
	assert.Equal(t, OK, code)
	assert.Equal(t, `Greets someone.

Usage:
  prog greet [flags] NAME

Politely.

Flags, each with its environment twin:
  --loud  (LEOFLOW_LOUD)
      shout
  --much SIZE  (LEOFLOW_MUCH)
      the size
  --times OFTEN  (LEOFLOW_TIMES)
      how often (default 1)
  --wait DURATION  (LEOFLOW_WAIT)
      how long to wait (default 0s)

Examples:
  # by name
  prog greet --times 2 Ada
`, out)

	code, out, _ = execute("--help")
	assert.Equal(t, OK, code)
	assert.Contains(t, out, "  greet  Greets someone.\n  idle   Does nothing.\n")

	code, out, errs := execute()
	assert.Equal(t, Misuse, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "Commands:")
}

// Sixty flags that the program has anyway hide the two that the command has besides.
func TestHelpDoesNotRepeatTheFlagsOfMain(t *testing.T) {
	code, out, _ := execute("look", "--help")
	assert.Equal(t, OK, code)
	assert.Equal(t, `Looks.

Usage:
  prog look [flags]

Flags, each with its environment twin:
  --json  (LEOFLOW_JSON)
      print JSON

And all flags of 'prog --help'.
`, out)
}

func TestFromEnvironment(t *testing.T) {
	t.Setenv("LEOFLOW_CORE_ADDRESS", "env:1")
	t.Setenv("LEOFLOW_POLL_EVERY", "3s")
	bind := func() (*flag.FlagSet, *string, *time.Duration) {
		flags := flag.NewFlagSet("x", flag.ContinueOnError)
		return flags, flags.String("core-address", "default:1", ""), flags.Duration("poll-every", time.Second, "")
	}

	flags, address, every := bind()
	assert.NoError(t, flags.Parse([]string{"--core-address=flag:1"}))
	assert.NoError(t, FromEnvironment(flags))
	assert.Equal(t, "flag:1", *address, "the command line wins")
	assert.Equal(t, 3*time.Second, *every)

	t.Setenv("LEOFLOW_POLL_EVERY", "often")
	flags, _, _ = bind()
	assert.EqualError(t, FromEnvironment(flags), `environment variable LEOFLOW_POLL_EVERY: "often" is not a duration; write it like "90s" or "5m"`)
}
