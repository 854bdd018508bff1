package store

import (
	"errors"
	"fmt"

	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

var errNoKey = errors.New("value is sealed and core has no seal key")

// Value is what an entry holds: Connection or Text, by its kind.
type Value struct {
	Connection airflow.Connection
	Text       secret.Text
}

// Open returns the value of an entry, with what is sealed opened. The error says why
// the entry cannot be served, and holds no value.
func (s *Store) Open(e Entry) (Value, error) {
	switch {
	case e.Invalid != "":
		return Value{}, errors.New(e.Invalid)
	case e.Name.Kind == entry.Variable:
		text, err := s.open(e, seal.Whole, e.value)
		return Value{Text: text}, err
	case e.whole:
		text, err := s.open(e, seal.Whole, e.value)
		if err != nil {
			return Value{}, err
		}
		connection, err := airflow.Parse(e.Name.ID, text.Reveal())
		return Value{Connection: connection}, err
	default:
		connection, err := s.openFields(e)
		return Value{Connection: connection}, err
	}
}

// openFields opens the two fields of a connection that may be sealed on their own.
func (s *Store) openFields(e Entry) (airflow.Connection, error) {
	connection := e.connection
	if e.asIs || !isSealed(connection.Password) && !isSealed(connection.Extra) {
		return connection, nil
	}
	for _, field := range []struct {
		name string
		text **secret.Text
	}{{"password", &connection.Password}, {"extra", &connection.Extra}} {
		if !isSealed(*field.text) {
			continue
		}
		value, err := s.open(e, field.name, **field.text)
		if err != nil {
			return airflow.Connection{}, fmt.Errorf("field %q: %w", field.name, err)
		}
		*field.text = &value
	}
	return connection, connection.Validate()
}

func isSealed(text *secret.Text) bool { return text != nil && seal.IsSealed(text.Reveal()) }

// open returns text as it is unless it is sealed.
func (s *Store) open(e Entry, field string, text secret.Text) (secret.Text, error) {
	switch {
	case e.asIs || !seal.IsSealed(text.Reveal()):
		return text, nil
	case s.key == nil:
		return secret.Text{}, errNoKey
	default:
		return s.key.Open(placeOf(e, field), text.Reveal())
	}
}

// placeOf is where a value of the entry belongs.
func placeOf(e Entry, field string) seal.Place {
	place := seal.Place{Name: e.Name, Field: field}
	if field != seal.Whole {
		place.Of = e.connection
	}
	return place
}

// HasOldSeal tells a connection of which a field is sealed, and is bound to no host: whoever
// may edit the file can have it sent elsewhere.
func (e Entry) HasOldSeal() bool {
	for _, field := range []*secret.Text{e.connection.Password, e.connection.Extra} {
		if field != nil && seal.IsOld(field.Reveal()) {
			return true
		}
	}
	return false
}
