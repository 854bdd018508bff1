// Package sealfile seals the secrets of an export file and leaves the rest as it is.
package sealfile

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/pkg/airflow/export"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// spot is a text in an export file: the field of an entry, or with seal.Whole all of it.
type spot struct{ id, field string }

// Connections seals the passwords and extras of a file of connections, and those that
// are one string as a whole. What is sealed already stays, unless it is of version 1.
func Connections(key *seal.Key, file string, content []byte) ([]byte, error) {
	if err := check(export.ReadConnections(file, content, seal.IsSealed)); err != nil {
		return nil, err
	}
	// Read once more with every text kept as it stands.
	connections, _, err := export.ReadConnections(file, content, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	sealed := map[spot]string{}
	for _, c := range connections {
		for field, text := range map[string]*secret.Text{
			seal.Whole: c.Sealed, "password": c.Connection.Password, "extra": c.Connection.Extra,
		} {
			place := seal.Place{Name: entry.Name{Kind: entry.Connection, ID: c.ID}, Field: field}
			if field != seal.Whole {
				place.Of = c.Connection
			}
			put(sealed, key, place, text)
		}
	}
	return rewrite(file, content, sealed, opener{key}.connections)
}

// PlaceOf is where the field of a connection belongs, that stands in the file as an object.
func PlaceOf(file string, content []byte, id, field string) (seal.Place, error) {
	connections, faults, err := export.ReadConnections(file, content, seal.IsSealed)
	if err != nil {
		return seal.Place{}, err
	}
	for _, c := range connections {
		if c.ID == id && c.Sealed == nil {
			return seal.Place{Name: entry.Name{Kind: entry.Connection, ID: id}, Field: field, Of: c.Connection}, nil
		}
	}
	for _, fault := range faults {
		if fault.ID == id {
			return seal.Place{}, fault
		}
	}
	return seal.Place{}, fmt.Errorf("%s: there is no connection %q of which a field could be sealed: write it with its host, port, type, login and schema first", file, id)
}

// Variables seals the values of a file of variables. What is sealed already stays.
func Variables(key *seal.Key, file string, content []byte) ([]byte, error) {
	variables, faults, err := export.ReadVariables(file, content)
	if err := check(variables, faults, err); err != nil {
		return nil, err
	}
	sealed := map[spot]string{}
	for _, v := range variables {
		put(sealed, key, seal.Place{Name: entry.Name{Kind: entry.Variable, ID: v.Key}, Field: seal.Whole}, &v.Value)
	}
	return rewrite(file, content, sealed, opener{key}.variables)
}

// check refuses a file with any fault: an entry that is not understood could hold a
// secret that would be left in the clear.
func check[T any](_ []T, faults []*export.EntryError, err error) error {
	if err != nil {
		return err
	}
	var all []error
	for _, fault := range faults {
		all = append(all, fault)
	}
	return errors.Join(all...)
}

func put(sealed map[spot]string, key *seal.Key, place seal.Place, text *secret.Text) {
	if text == nil || text.Len() == 0 {
		return
	}
	value := *text
	if seal.IsSealed(value.Reveal()) {
		opened, err := key.Open(place, value.Reveal())
		if err != nil || !seal.IsOld(value.Reveal()) {
			return
		}
		value = opened
	}
	sealed[spot{place.Name.ID, place.Field}] = key.Seal(place, value)
}

func rewrite(file string, content []byte, sealed map[spot]string, read readFile) (rewritten []byte, err error) {
	switch suffix := strings.ToLower(path.Ext(file)); suffix {
	case ".json":
		rewritten, err = rewriteJSON(bytes.TrimPrefix(content, []byte("\ufeff")), sealed)
	case ".yaml", ".yml":
		rewritten, err = rewriteYAML(content, sealed)
	default:
		err = errors.New("sealing works on .json, .yaml and .yml")
	}
	if err == nil {
		err = read.verify(file, content, rewritten)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return rewritten, nil
}
