package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
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
that the flags give them; without a flag connections.json, variables.json, entries and rules (or
rules.yaml), as far as they are there. A line begins with + where somebody gains an entry, and
with - where somebody loses one. It exits with 0 where nobody does either and with 3 where somebody
does, so that a merge can be held for review. A value that changes is no difference here.`,
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

// below gives the files their places in folder, and takes those of the usual names where none is
// named. A state may be without entries.
func (f fileFlags) below(folder string) (fileFlags, error) {
	f.allowEmpty = true
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return f, cli.Usagef("%s is no folder", folder)
	}
	places := map[*string][]string{
		&f.connections: {"connections.json", "connections.yaml"}, &f.variables: {"variables.json", "variables.yaml"},
		&f.entries: {"entries"}, &f.rules: {"rules", "rules.yaml"},
	}
	if f.connections+f.variables+f.entries+f.rules != "" {
		maps.DeleteFunc(places, func(place *string, _ []string) bool { return *place == "" })
	}
	for place, usual := range places {
		if *place != "" {
			usual = []string{*place}
		}
		*place = ""
		for _, name := range usual {
			if _, err := os.Stat(filepath.Join(folder, name)); err == nil && *place == "" {
				*place = filepath.Join(folder, name)
			}
		}
	}
	if f.rules == "" {
		return f, cli.Usagef("%s: no rules in it, by which anybody could read anything", folder)
	}
	return f, nil
}
