package store

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/metastore"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
)

// KindMetastore is the Status of Airflow's database.
const KindMetastore = "metastore"

// database is what Airflow's metastore was last seen to hold.
type database struct {
	about       Status
	versioner   Versioner
	mayBeEmpty  bool
	connections []Entry
	variables   []Entry
	crowded     bool // there was no room for what was last found
}

func newDatabase(config Config, versioner Versioner) *database {
	return &database{about: Status{File: config.Metastore, Kind: KindMetastore}, versioner: versioner, mayBeEmpty: config.AllowEmpty}
}

// Take brings what a look at the metastore found, or why it failed, and publishes what is new. A
// fault is returned once, and leaves what was found before in force.
func (s *Store) Take(found metastore.Found, err error) (changed bool, fault error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if err != nil {
		s.metastore.about.blame(s.now(), err)
	} else {
		changed = s.metastore.take(s.now(), found, s.entries.admitDatabase)
	}
	fault = s.metastore.about.news()
	s.note()
	return changed && s.Publish(s.snapshot()), fault
}

// take keeps the entries of a table that has lost all of its own, as a file of entries does, and what it
// had where there is no room for what was found.
func (d *database) take(now time.Time, found metastore.Found, admit func(after weight) error) (changed bool) {
	if len(found.Connections)+len(found.Variables) == 0 && len(d.connections)+len(d.variables) == 0 && !d.mayBeEmpty {
		d.about.blame(now, errors.New("neither connections nor variables are in Airflow's database; where that is meant, give --allow-empty"))
		return false
	}
	changed = found.Changed || d.about.ReadAt.IsZero() || d.crowded
	next := [2][]Entry{d.connections, d.variables}
	var lost []string
	for i, table := range []struct {
		name string
		rows []metastore.Row
	}{{"connection", found.Connections}, {"variable", found.Variables}} {
		switch {
		case len(table.rows) == 0 && len(next[i]) > 0:
			lost = append(lost, fmt.Sprintf("table %q of Airflow's database has no rows, and had %d; they stay in force. To take them away, name them under deny in the rules", table.name, len(next[i])))
		case changed:
			next[i] = d.entriesOf(table.name, table.rows)
		}
	}
	if changed {
		err := admit(weighEntries(next[0], 0).plus(weighEntries(next[1], 0)))
		if d.crowded = err != nil; d.crowded {
			d.about.blame(now, fmt.Errorf("what Airflow's database holds: %w", err))
			return false
		}
		d.connections, d.variables = next[0], next[1]
	}
	d.about.Entries = len(d.connections) + len(d.variables)
	if len(lost) == 0 {
		d.about.mend(now)
		return changed
	}
	d.about.ReadAt = now
	d.about.blame(now, errors.New(strings.Join(lost, "; ")))
	return changed
}

func (d *database) entriesOf(table string, rows []metastore.Row) []Entry {
	entries := make([]Entry, 0, len(rows))
	for _, row := range rows {
		e := Entry{
			Name: row.Name, Team: row.Team, Invalid: row.Invalid, Origin: Origin{d.about.File + " " + table, int(row.Number)},
			value: row.Text, connection: row.Connection, asIs: true,
		}
		e.Version = d.versioner.version(e)
		entries = append(entries, e)
	}
	return entries
}

// appendTo adds the entries in force.
func (d *database) appendTo(all []*Entry) []*Entry {
	return appendEach(appendEach(all, d.connections), d.variables)
}

// unknown adds to why that nothing is known of anybody's entries, as long as no look succeeded.
func (d *database) unknown(why map[string]string, teams []rule.Team) map[string]string {
	if !d.about.ReadAt.IsZero() {
		return why
	}
	all := map[string]string{"": d.about.Fault}
	for _, team := range teams {
		all[team.Name] = d.about.Fault
	}
	maps.Copy(all, why)
	for of, reason := range all {
		if reason == "" {
			all[of] = "Airflow's database was not read yet"
		}
	}
	return all
}
