// Package entry holds the one noun of the way from a source to a volume: an entry, that is
// a connection or a variable. A provider makes it, the policy rewrites it, rendering adds
// its bytes, and mount writes them. Whatever cannot be had is an entry too, with the state
// and the reason that the manifest shows.
package entry

import (
	"fmt"
	"io"
	"iter"
	"log/slog"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Entry is one entry: its line of the manifest, and what it holds. It prints without that.
type Entry struct {
	// Entry is the line. Its state is Delivered as long as nothing speaks against it.
	layout.Entry
	// Connection is what a connection holds, Text what a variable holds.
	Connection airflow.Connection
	Text       secret.Text
	// Reference is what the policy wants fetched for the connection. It stays with an entry
	// that is refused for it, and is nil once its secret is in its place.
	Reference *Reference
	// TooLarge is set if it is Invalid for want of room alone.
	TooLarge bool
	// Value is the content of the entry's file, JSON its value in the file for Airflow, nil
	// where it must not stand there. Rendering sets them. Both are secrets.
	Value, JSON []byte
}

// Whoever makes entries needs no other package for what the line is made of.
type (
	// Kind is layout's.
	Kind = layout.Kind
	// Name is layout's.
	Name = layout.Name
	// State is layout's.
	State = layout.State
	// Grade is layout's.
	Grade = layout.Grade
	// Notice is layout's.
	Notice = layout.Notice
)

// The kinds and the states. A source that cannot be asked says nothing of an entry, and not
// Unavailable: that is a connection while its reference cannot be resolved, and what a source which
// answers does not tell the pod for now.
const (
	Connection = layout.Connection
	Variable   = layout.Variable

	Delivered   = layout.Delivered
	Missing     = layout.Missing
	Denied      = layout.Denied
	Invalid     = layout.Invalid
	Unavailable = layout.Unavailable
)

// Compare orders names by kind, then by id.
func Compare(a, b Name) int { return layout.Compare(a, b) }

// OfConnection is a connection at one version. A version is opaque and differs whenever
// the connection does.
func OfConnection(conn airflow.Connection, version string) Entry {
	made := Entry{Connection: conn}
	made.Kind, made.ID, made.State, made.Version = Connection, conn.ID, Delivered, version
	return made
}

// OfVariable is a variable at one version.
func OfVariable(key string, value secret.Text, version string) Entry {
	made := Entry{Text: value}
	made.Kind, made.ID, made.State, made.Version = Variable, key, Delivered, version
	return made
}

// Refused is an entry that cannot be had, for a reason that holds no value and may be
// empty.
func Refused(name Name, state State, reason string) Entry {
	made := Entry{}
	made.Kind, made.ID, made.State = name.Kind, name.ID, state
	if reason != "" {
		made.Notices = []Notice{{Code: string(state), Message: reason}}
	}
	return made
}

// NoRoom is an entry that cannot be had because of what was asked for with it.
func NoRoom(name Name) Entry {
	made := Refused(name, Invalid, "all entries together are larger than the volume may be: ask for fewer entries, or give volumes more room")
	made.TooLarge = true
	return made
}

// Refuse makes the entry one that cannot be had, and takes out all that it held.
func (e *Entry) Refuse(state State, reason string) {
	reference := e.Reference
	*e = Refused(e.Name(), state, reason)
	e.Reference = reference
}

// Remark adds a notice.
func (e *Entry) Remark(code, message string) {
	e.Notices = append(e.Notices, Notice{Code: code, Message: message})
}

// Clone shares no memory with e that holds a secret.
func (e Entry) Clone() Entry {
	e.Connection.Password, e.Connection.Extra = copied(e.Connection.Password), copied(e.Connection.Extra)
	return e
}

func copied(text *secret.Text) *secret.Text {
	if text == nil {
		return nil
	}
	return new(*text)
}

// Secrets yields every secret of an entry that is not rendered yet, in an order that
// depends on its shape alone.
func (e *Entry) Secrets() iter.Seq[*secret.Text] {
	return func(yield func(*secret.Text) bool) {
		if e.Kind == Variable {
			yield(&e.Text)
			return
		}
		for _, text := range []*secret.Text{e.Connection.Password, e.Connection.Extra} {
			if text != nil && !yield(text) {
				return
			}
		}
	}
}

// String names the entry and tells its state.
func (e Entry) String() string { return e.Name().String() + " (" + string(e.State) + ")" }

// LogValue is what String returns.
func (e Entry) LogValue() slog.Value { return slog.StringValue(e.String()) }

// MarshalText is what String returns.
func (e Entry) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Format covers every verb, since %x or %#v would otherwise reach into the values.
func (e Entry) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, e.String()) }
