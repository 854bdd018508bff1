package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

func whoCommand() cli.Command {
	return cli.Command{
		Name:    "who",
		Summary: "Lists who may read an id, and with an audit log who did.",
		Args:    "ID",
		Details: `For an access review: one line for each pattern of callers that a rule lets read the id, or
that a rule or a team's own entry of that name keeps from it, and one for each caller that the
audit log says was given it, with how often and when last. --csv is for spreadsheets.`,
		Examples: `core who --connections connections.json --rules rules.yaml warehouse
core who --connections connections.json --rules rules.yaml --audit-log audit.jsonl --csv warehouse`,
		Bind: bindWho,
	}
}

type whoFlags struct {
	files         fileFlags
	auditLog      string
	csv, variable bool
}

func bindWho(flags *flag.FlagSet) cli.Run {
	var raw whoFlags
	raw.files.bind(flags)
	flags.StringVar(&raw.auditLog, "audit-log", "", "the `file` that core appended audit records to")
	flags.BoolVar(&raw.csv, "csv", false, "print CSV in place of a table")
	flags.BoolVar(&raw.variable, "variable", false, "the id is a variable's key; without it, a connection's")
	return func(ctx context.Context, streams cli.Streams, args []string) error {
		if len(args) != 1 {
			return cli.Usagef("want one id after the flags")
		}
		return who(ctx, streams, raw, entry.Name{Kind: kindOf(raw.variable), ID: args[0]})
	}
}

func who(ctx context.Context, streams cli.Streams, raw whoFlags, name entry.Name) error {
	if raw.files.rules == "" {
		return cli.Usagef("no rules; give --rules, which say who may read what")
	}
	files, err := raw.files.read(ctx)
	if err != nil {
		return err
	}
	if err := notInForce(files); err != nil {
		return err
	}
	rows := [][]string{{"ACCESS", "CALLER", "TEAM", "BY", "TIMES", "LAST"}}
	found := accesses(files, func(other entry.Name) bool { return other == name })
	for _, each := range slices.SortedFunc(maps.Keys(found), compareAccess) {
		what := "may"
		if each.Not {
			what = "may not"
		}
		rows = append(rows, []string{what, each.Who.String(), each.Team, found[each], "", ""})
	}
	if raw.auditLog != "" {
		given, unread, err := readGiven(raw.auditLog, name)
		if err != nil {
			return err
		}
		if unread > 0 {
			_, _ = fmt.Fprintf(streams.Err, "%s: %d lines are no audit records\n", raw.auditLog, unread)
		}
		rows = append(rows, given...)
	}
	if len(rows) == 1 && !hasEntry(files, name) {
		return fmt.Errorf("the files have no %s; a variable's key goes with --variable", name)
	}
	if raw.csv {
		return writeCSV(streams.Out, rows)
	}
	return writeRows(streams.Out, rows)
}

func hasEntry(files *store.Store, name entry.Name) bool {
	for e := range files.Current().All() {
		if e.Name == name {
			return true
		}
	}
	return false
}

// maxRecord bounds a line of an audit log, in bytes.
const maxRecord = 1 << 20

// reader is a caller that was given an entry.
type reader struct {
	who  rule.Pair
	team string
}

type use struct {
	times   int
	last    time.Time
	version string
}

// readGiven sums up whom the log says name was given to. A line that is no record is counted: a full
// disk leaves half of one.
func readGiven(path string, name entry.Name) (rows [][]string, unread int, err error) {
	file, err := regular.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("--audit-log: %w", err)
	}
	defer func() { _ = file.Close() }()
	uses := map[reader]use{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxRecord)
	read := 0
	for ; lines.Scan(); read++ {
		var record audit.Record
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			unread++
			continue
		}
		if record.Decision != audit.Allowed || record.Kind != name.Kind || record.Entry != name.ID {
			continue
		}
		key := reader{callerOf(record), record.Team}
		sum := uses[key]
		sum.times++
		if !record.Time.Before(sum.last) {
			sum.last, sum.version = record.Time, record.Version
		}
		uses[key] = sum
	}
	if err := lines.Err(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	if unread > 0 && unread == read {
		return nil, 0, fmt.Errorf("%s: is no audit log", path)
	}
	for _, key := range slices.SortedFunc(maps.Keys(uses), func(a, b reader) int {
		return cmp.Or(strings.Compare(a.who.String(), b.who.String()), strings.Compare(a.team, b.team))
	}) {
		sum := uses[key]
		rows = append(rows, []string{"did", key.who.String(), key.team, "version " + sum.version, strconv.Itoa(sum.times), sum.last.UTC().Format(time.RFC3339)})
	}
	return rows, unread, nil
}

func callerOf(record audit.Record) rule.Pair {
	if record.Tenant != "" {
		return rule.Pair{Task: true, First: rule.Pattern(record.Tenant), Second: rule.Pattern(record.DAG), Direct: record.Direct}
	}
	return rule.Pair{First: rule.Pattern(record.Namespace), Second: rule.Pattern(record.ServiceAccount), Direct: record.Direct}
}

func writeRows(out io.Writer, rows [][]string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		shown := make([]string, len(row))
		for i, cell := range row {
			shown[i] = printable(cmp.Or(cell, "-"))
		}
		_, _ = fmt.Fprintln(table, strings.Join(shown, "\t"))
	}
	return table.Flush()
}

// writeCSV keeps a spreadsheet from taking a name, which a team may choose, for a formula.
func writeCSV(out io.Writer, rows [][]string) error {
	writer := csv.NewWriter(out)
	for _, row := range rows {
		safe := make([]string, len(row))
		for i, cell := range row {
			safe[i] = formula.ReplaceAllString(cell, "$1'$2")
		}
		if err := writer.Write(safe); err != nil {
			return err
		}
	}
	writer.Flush()
	return writer.Error()
}

// formula is what begins one, also in a cell of its own: where a comma is for decimals, a spreadsheet takes
// a semicolon for the end of a cell, and some take a tab for it.
var formula = regexp.MustCompile(`(^|[;\t\r\n])(\s*[=+\-@\t\r\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}])`)
