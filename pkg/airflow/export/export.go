// Package export reads the files that "airflow connections export" and "airflow
// variables export" write, and what the import commands take besides: JSON, YAML and
// .env, URIs and objects. It does no I/O.
//
// One broken entry spoils no other: it comes back as an EntryError with the line that
// is wrong. No error holds a value.
package export

import (
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// MaxSize bounds a file, in bytes. A Kubernetes Secret holds a sixteenth of it.
const MaxSize = 16 << 20

// Sealed says whether a text of a file is to be kept as it stands, because only its
// owner can open it. Nil seals nothing.
//
// It is asked of variables, of connections that are one string, and of the fields
// password and extra.
type Sealed func(text string) bool

// Connection is one connection of a file.
type Connection struct {
	ID   string
	Line int
	// Sealed is the whole connection where that is sealed; airflow.Parse reads what it
	// opens to. Connection is then empty.
	Sealed     *secret.Text
	Connection airflow.Connection
	// Team is the entry's "team_name"; empty for none.
	Team string
	// Losses are what of the entry is lost in reading it, as by Airflow.
	Losses []string
}

// Variable is one variable of a file. The value is what "airflow variables import"
// would store: a string as it is, anything else as JSON.
type Variable struct {
	Key   string
	Line  int
	Value secret.Text
	// Losses say where Airflow's own import would store something else.
	Losses []string
}

// ReadConnections reads a file of connections. The suffix of its name says how:
// .json, .yaml, .yml or .env. The error says that the file could not be read at all;
// it is a *FileError.
func ReadConnections(name string, content []byte, sealed Sealed) ([]Connection, []*EntryError, error) {
	return read(name, content, kindConnection, func(entry member) (Connection, error) {
		return readConnection(entry, sealed)
	})
}

// ReadVariables reads a file of variables, as ReadConnections does connections.
func ReadVariables(name string, content []byte) ([]Variable, []*EntryError, error) {
	return read(name, content, kindVariable, readVariable)
}

func read[T any](name string, content []byte, kind string, take func(member) (T, error)) ([]T, []*EntryError, error) {
	all, err := split(name, content)
	if err != nil {
		return nil, nil, err
	}
	taken := make([]T, 0, len(all.keys))
	var faults []*EntryError
	count := countKeys(all.keys)
	for i, entry := range all.keys {
		value, err := *new(T), checkKey(entry, count)
		if err == nil {
			entry.value = all.value(i)
			value, err = take(entry)
		}
		if err != nil {
			faults = append(faults, newEntryError(name, kind, entry, err))
			continue
		}
		taken = append(taken, value)
	}
	return taken, faults, nil
}

func countKeys(keys []member) map[string]int {
	count := make(map[string]int, len(keys))
	for _, each := range keys {
		count[each.key]++
	}
	return count
}

// checkKey faults every entry of an id that comes twice: which was meant is not ours
// to guess.
func checkKey(entry member, count map[string]int) error {
	switch {
	case entry.fault != "":
		return at(entry.line, entry.fault)
	case entry.key == "":
		return at(entry.line, "has no id; give it one")
	case count[entry.key] > 1:
		return at(entry.line, "is given more than once; keep one")
	default:
		return nil
	}
}
