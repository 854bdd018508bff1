package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/pkg/envshim"
)

const formatNames = "names"

func envCommand() cli.Command {
	return cli.Command{
		Name:    "env",
		Summary: "Prints the names that 'agent exec' would set, or writes the values down.",
		Details: `The formats "json", "export" and "kubelet" hold values. They are written to a pipe or a file,
and to a terminal only with --show-values. A format refuses a value that it cannot give back
byte for byte. A file is replaced in one step, and only in memory (a tmpfs, such as an emptyDir
of medium Memory) unless --allow-disk is given.`,
		Examples: `agent env
# for a shell; it stops at names that no shell can set
eval "$(agent env --format export)"
agent env --format json | jq -r .AIRFLOW_VAR_REGION
# for a program that takes a file
agent env --format json --output /run/app/env.json
# for an image that stays as it is: an init container writes what fileKeyRef reads
agent env --format kubelet --output /env/leoflow`,
		Bind: bindEnv,
	}
}

type envFlags struct {
	dir       *string
	format    *string
	show      *bool
	output    *string
	allowDisk *bool
	omitEmpty *bool
	as        *shapes
}

func bindEnv(flags *flag.FlagSet) cli.Run {
	f := envFlags{
		dir:       bindDir(flags),
		format:    flags.String("format", formatNames, "the `format`: names, json, export or kubelet"),
		show:      flags.Bool("show-values", false, "write values even to a terminal"),
		output:    flags.String("output", "", "write this `file` instead, readable by its owner alone"),
		allowDisk: flags.Bool("allow-disk", false, "write --output even where it may reach a disk"),
		omitEmpty: bindOmitEmpty(flags),
		as:        bindAs(flags),
	}
	return func(_ context.Context, streams cli.Streams, _ []string) error {
		if err := f.check(streams.Out); err != nil {
			return err
		}
		snapshot, err := envshim.Read(*f.dir, *f.as...)
		if err == nil {
			err = snapshot.Missing(*f.as)
		}
		if err != nil {
			return err
		}
		if *f.omitEmpty {
			snapshot.Entries = envshim.WithoutEmpty(snapshot.Entries)
		}
		return f.write(streams.Out, snapshot.Entries)
	}
}

func bindOmitEmpty(flags *flag.FlagSet) *bool {
	return flags.Bool("omit-empty", false, "leave out a variable that is empty, which a fileKeyRef with optional: true leaves unset")
}

func (f envFlags) check(out io.Writer) error {
	holdsValues := *f.format != formatNames
	switch {
	case holdsValues && !envshim.Format(*f.format).IsKnown():
		return cli.Usagef("--format %s is not known; want names, json, export or kubelet", *f.format)
	case *f.output == "" && holdsValues && isTerminal(out) && !*f.show:
		return cli.Usagef("--format %s would print values to the terminal; add --show-values if you mean it", *f.format)
	case *f.output != "" && holdsValues && !*f.allowDisk:
		return checkInMemory(*f.output)
	}
	return nil
}

func (f envFlags) write(out io.Writer, entries []envshim.Entry) error {
	write := func(out io.Writer) error {
		if *f.format == formatNames {
			return writeNames(out, entries)
		}
		return envshim.Format(*f.format).Write(out, entries)
	}
	if *f.output == "" {
		return write(out)
	}
	return envshim.Replace(*f.output, 0o600, write)
}

func writeNames(out io.Writer, entries []envshim.Entry) error {
	var faults []error
	for _, entry := range entries {
		_, err := fmt.Fprintln(out, envshim.OnOneLine(entry.Env))
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), askTerminal)
	return err == nil
}

func checkInMemory(output string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(output), &stat); err != nil {
		return fmt.Errorf("looking at the directory of --output %s: %w", output, err)
	}
	if !isInMemory(stat) {
		return cli.Usagef("--output %s is not on a tmpfs, so the values could reach a disk; choose another place, or add --allow-disk", output)
	}
	return nil
}
