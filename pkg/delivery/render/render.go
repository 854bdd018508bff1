// Package render turns entries into the files of a volume. It is pure: no I/O, no
// clock, and the same input gives the same bytes.
package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/policy"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Format is how connections are written into their files.
type Format string

// The formats, as a user writes them.
const (
	URI  Format = "uri"
	JSON Format = "json"
)

// Connection is a connection after policy, ready to be rendered.
type Connection struct {
	Connection airflow.Connection
	Version    string
	Source     string
	Grade      *layout.Grade
	Notices    []layout.Notice
}

// Decided is a connection as the policy has decided it.
func Decided(outcome policy.Outcome, version, source string) Connection {
	c := Connection{Connection: outcome.Connection, Version: version, Source: source}
	if outcome.Grade.State != "" {
		c.Grade = &layout.Grade{State: string(outcome.Grade.State), Reason: outcome.Grade.Reason}
	}
	for _, notice := range outcome.Notices {
		c.Notices = append(c.Notices, layout.Notice(notice))
	}
	return c
}

// Variable is a variable ready to be rendered.
type Variable struct {
	Key     string
	Value   secret.Text
	Version string
	Source  string
	Notices []layout.Notice
}

// Entry is a delivered entry: its line of the manifest and its bytes. Value is its file's
// content, JSON its value in the file for Airflow. Both are secrets.
type Entry struct {
	layout.Entry
	Value, JSON []byte
}

// Output is what was rendered.
type Output struct {
	// Entries are sorted, connections first, so that the order of a provider's answer
	// changes nothing.
	Entries []Entry
	// Failures are the entries that cannot be rendered; the others are not touched by
	// them.
	Failures []provider.Refusal
}

// Render renders what a volume is to hold. An entry that cannot be rendered is a failure
// and touches no other. Of entries that become one environment variable, none is
// delivered; but if the volume delivers one already, that one stays: first says which, by
// the name of the variable.
func Render(format Format, connections []Connection, variables []Variable, first map[string]string) Output {
	drafts := make([]draft, 0, len(connections)+len(variables))
	for _, connection := range connections {
		drafts = append(drafts, draftConnection(format, connection))
	}
	for _, variable := range variables {
		drafts = append(drafts, draftVariable(variable))
	}
	slices.SortStableFunc(drafts, func(a, b draft) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	refuseClashes(drafts, first)
	var out Output
	for _, d := range drafts {
		if d.problem == "" {
			out.Entries = append(out.Entries, d.Entry)
			continue
		}
		name := provider.Name{Kind: provider.Kind(d.Kind), ID: d.ID}
		out.Failures = append(out.Failures, provider.Refusal{Name: name, Reason: provider.Invalid, Detail: d.problem})
	}
	return out
}

// refuseClashes fails every entry whose environment variable another entry has too:
// Airflow upper-cases ids, so "Db" and "db" are one variable. The first stays.
func refuseClashes(drafts []draft, first map[string]string) {
	ids := map[string][]string{}
	for _, d := range drafts {
		if d.problem == "" {
			ids[d.Env] = append(ids[d.Env], d.ID)
		}
	}
	for i := range drafts {
		d := &drafts[i]
		stays, delivered := first[d.Env]
		switch {
		case d.problem != "":
		case delivered && stays != d.ID:
			d.problem = fmt.Sprintf("%q and %q both become %s, and %q was delivered first: rename one", stays, d.ID, d.Env, stays)
		case !delivered && len(ids[d.Env]) > 1:
			d.problem = fmt.Sprintf("%s all become %s: rename all but one", quoted(ids[d.Env]), d.Env)
		}
	}
}

func quoted(ids []string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Quote(id)
	}
	return strings.Join(texts, " and ")
}
