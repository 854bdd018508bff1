package store

import (
	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/pkg/airflow/export"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// parseConnections makes an entry of every connection of an export file, broken ones
// included.
func parseConnections(file string, content []byte) ([]Entry, error) {
	connections, faults, err := export.ReadConnections(file, content, seal.IsSealed)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(connections))
	for _, c := range connections {
		e := Entry{
			Name:       entry.Name{Kind: entry.Connection, ID: c.ID},
			Origin:     Origin{file, c.Line},
			Losses:     c.Losses,
			Team:       c.Team,
			named:      c.Team != "",
			connection: c.Connection,
		}
		if c.Sealed != nil {
			e.value, e.whole = *c.Sealed, true
		}
		entries = append(entries, e)
	}
	return append(entries, broken(entry.Connection, faults)...), nil
}

func parseVariables(file string, content []byte) ([]Entry, error) {
	variables, faults, err := export.ReadVariables(file, content)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(variables))
	for _, v := range variables {
		entries = append(entries, Entry{
			Name:   entry.Name{Kind: entry.Variable, ID: v.Key},
			Origin: Origin{file, v.Line},
			Losses: v.Losses,
			value:  v.Value,
		})
	}
	return append(entries, broken(entry.Variable, faults)...), nil
}

// mostNameless is how many entries without a name are told of one file.
const mostNameless = 8

// broken makes one entry of each id that has faults: an id given twice has two.
func broken(kind entry.Kind, faults []*export.EntryError) []Entry {
	var entries []Entry
	seen := map[string]int{}
	for _, fault := range faults {
		most := 1
		if fault.ID == "" {
			most = mostNameless
		}
		if seen[fault.ID]++; seen[fault.ID] > most {
			continue
		}
		entries = append(entries, Entry{
			Name:    entry.Name{Kind: kind, ID: fault.ID},
			Origin:  Origin{fault.File, fault.Line},
			Invalid: fault.Err.Error(),
		})
	}
	return entries
}
