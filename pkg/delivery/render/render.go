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

// File is one file of a generation. Data is a secret.
type File struct {
	// Path is relative to the volume and slash-separated.
	Path string
	Data []byte
}

// Output is a generation, but for the manifest's generation and time.
type Output struct {
	Files []File
	// Entries are the delivered entries, in the order of the input.
	Entries []layout.Entry
	// Failures are the entries that cannot be rendered; the others are not touched by
	// them.
	Failures []provider.Refusal
}

// Render renders what a volume is to hold. Entries come out sorted, connections
// first, so that the order of a provider's answer changes nothing. An entry that
// cannot be rendered is a failure and touches no other.
func Render(format Format, connections []Connection, variables []Variable) Output {
	drafts := make([]draft, 0, len(connections)+len(variables))
	for _, connection := range connections {
		drafts = append(drafts, draftConnection(format, connection))
	}
	for _, variable := range variables {
		drafts = append(drafts, draftVariable(variable))
	}
	slices.SortStableFunc(drafts, func(a, b draft) int {
		return cmp.Or(cmp.Compare(a.name.Kind, b.name.Kind), cmp.Compare(a.name.ID, b.name.ID))
	})
	refuseClashes(drafts)
	return assemble(drafts)
}

// assemble makes files of the drafts that hold.
func assemble(drafts []draft) Output {
	var out Output
	objects := map[provider.Kind]*object{provider.Connection: {}, provider.Variable: {}}
	for _, d := range drafts {
		if d.problem != "" {
			out.Failures = append(out.Failures, provider.Refusal{Name: d.name, Reason: provider.Invalid, Detail: d.problem})
			continue
		}
		out.Files = append(out.Files, File{Path: d.entry.File, Data: d.value})
		out.Entries = append(out.Entries, d.entry)
		if d.json != nil {
			objects[d.name.Kind].add(d.name.ID, d.json)
		}
	}
	// Both files are always there, since LocalFilesystemBackend refuses to start on a
	// configured file that is not.
	out.Files = append(out.Files,
		File{Path: layout.ConnectionsJSON, Data: objects[provider.Connection].bytes()},
		File{Path: layout.VariablesJSON, Data: objects[provider.Variable].bytes()})
	return out
}

// refuseClashes fails every entry whose environment variable another entry has too:
// Airflow upper-cases ids, so "Db" and "db" are one variable.
func refuseClashes(drafts []draft) {
	holders := make(map[string][]int, len(drafts))
	for i, d := range drafts {
		if d.problem == "" {
			holders[d.entry.Env] = append(holders[d.entry.Env], i)
		}
	}
	for env, indices := range holders {
		if len(indices) < 2 {
			continue
		}
		ids := make([]string, len(indices))
		for i, index := range indices {
			ids[i] = strconv.Quote(drafts[index].name.ID)
		}
		for _, index := range indices {
			drafts[index].problem = fmt.Sprintf("%s all become %s: rename all but one", strings.Join(ids, " and "), env)
		}
	}
}
