package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// exitDiffers is the exit code where somebody gains or loses an entry.
const exitDiffers = 3

func diffCommand() cli.Command {
	return cli.Command{
		Name:    "diff",
		Summary: "Says who gains and who loses which entry between two states of the files.",
		Args:    "OLD NEW",
		Details: `OLD and NEW are folders, such as two checkouts of a repository, that hold the files by the names
that the flags give them; without a flag for entries connections.json, variables.json and entries, and
without one for rules, rules (or rules.yaml), as far as they are there. A line begins with + where
somebody gains an entry, and with - where somebody loses one. It exits with 0 where nobody does either
and with 3 where somebody does, so that a merge can be held for review, and with 2 where it has
nothing to compare. A value that changes is no difference here.`,
		Examples: `core diff main branch
core diff --connections connections.json --rules rules.yaml main branch`,
		Bind: bindDiff,
	}
}

func bindDiff(flags *flag.FlagSet) cli.Run {
	var raw fileFlags
	raw.bind(flags)
	return func(ctx context.Context, streams cli.Streams, args []string) error {
		if len(args) != 2 {
			return cli.Usagef("want two folders after the flags: OLD NEW")
		}
		return diff(ctx, streams.Out, raw, args[0], args[1])
	}
}

func diff(ctx context.Context, out io.Writer, raw fileFlags, before, after string) error {
	if err := comparable(raw, before, after); err != nil {
		return err
	}
	old, err := readAccesses(ctx, raw, before)
	if err != nil {
		return err
	}
	current, err := readAccesses(ctx, raw, after)
	if err != nil {
		return err
	}
	type change struct {
		access
		gains bool
		says  string
	}
	var changes []change
	for what, says := range old {
		if _, still := current[what]; !still {
			changes = append(changes, change{what, what.Not, says})
		}
	}
	for what, says := range current {
		if _, already := old[what]; !already {
			changes = append(changes, change{what, !what.Not, says})
		}
	}
	slices.SortFunc(changes, func(a, b change) int {
		return cmp.Or(compareAccess(a.access, b.access), compareBool(a.gains, b.gains))
	})
	for _, each := range changes {
		sign, by := map[bool]string{true: "+", false: "-"}[each.gains], "let in by"
		if each.Not {
			by = "kept from it by"
		}
		if each.Not == each.gains {
			by = "no longer " + by
		}
		if _, err := fmt.Fprintf(out, "%s %s: %s %s, %s %s\n", sign, printable(each.Who.String()), printable(each.Name.String()), ofWhom(each.Team), by, each.says); err != nil {
			return err
		}
	}
	if len(changes) > 0 {
		return &cli.ExitError{Code: exitDiffers}
	}
	return nil
}

func readAccesses(ctx context.Context, raw fileFlags, folder string) (map[access]string, error) {
	in, err := raw.below(folder)
	if err != nil {
		return nil, err
	}
	files, err := in.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	if err := notInForce(files); err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	return accesses(files, func(entry.Name) bool { return true }), nil
}

// comparable fails where there is nothing to compare, which would read as no difference: a file that is
// named stands in neither state, or neither has entries that anybody could gain.
func comparable(raw fileFlags, before, after string) error {
	var states [2]fileFlags
	var err error
	for i, folder := range []string{before, after} {
		if states[i], err = raw.below(folder); err != nil {
			return err
		}
	}
	found := false
	for i, named := range raw.places() {
		inEither := *states[0].places()[i].file != "" || *states[1].places()[i].file != ""
		if *named.file != "" && !inEither {
			return cli.Usagef("%s is neither in %s nor in %s", *named.file, before, after)
		}
		found = found || named.hasEntries && inEither
	}
	if !found && raw.metastore.URLFile == "" {
		return cli.Usagef("neither %s nor %s has entries: without them nobody gains or loses any; give --connections, --variables, --entries or --airflow-db", before, after)
	}
	return nil
}

// placed is a flag's file, and what it is called in a folder where the flag does not say.
type placed struct {
	file       *string
	usual      []string
	hasEntries bool
}

func (f *fileFlags) places() []placed {
	return []placed{
		{&f.connections, []string{"connections.json", "connections.yaml"}, true},
		{&f.variables, []string{"variables.json", "variables.yaml"}, true},
		{&f.entries, []string{"entries"}, true},
		{&f.rules, []string{"rules", "rules.yaml"}, false},
	}
}

// below gives the files their places in folder, and takes those of the usual names where none is
// named: no file of rules, or nothing that has entries. A state may be without entries.
func (f fileFlags) below(folder string) (fileFlags, error) {
	f.allowEmpty = true
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return f, cli.Usagef("%s is no folder", folder)
	}
	namesEntries := f.connections+f.variables+f.entries+f.metastore.URLFile != ""
	for _, place := range f.places() {
		names := place.usual
		switch {
		case *place.file != "":
			names = []string{*place.file}
		case place.hasEntries && namesEntries:
			continue
		}
		*place.file = ""
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(folder, name)); err == nil && *place.file == "" {
				*place.file = filepath.Join(folder, name)
			}
		}
	}
	if f.rules == "" {
		return f, cli.Usagef("%s: no rules in it, by which anybody could read anything", folder)
	}
	return f, nil
}
