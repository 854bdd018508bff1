package sealfile

import (
	"errors"
	"maps"

	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/airflow/export"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

var errAltered = errors.New("sealing this file would change what it holds, by the way that YAML can be written; convert it to JSON first")

// opener opens what its key can, and leaves the rest sealed.
type opener struct{ key *seal.Key }

func (o opener) open(place seal.Place, text secret.Text) secret.Text {
	opened, err := o.key.Open(place, text.Reveal())
	if err != nil {
		return text
	}
	return opened
}

func (o opener) connections(file string, content []byte) (map[string]string, error) {
	connections, faults, err := export.ReadConnections(file, content, seal.IsSealed)
	if err := check(connections, faults, err); err != nil {
		return nil, err
	}
	held := make(map[string]string, len(connections))
	for _, c := range connections {
		name := entry.Name{Kind: entry.Connection, ID: c.ID}
		if c.Sealed != nil {
			text := o.open(seal.Place{Name: name, Field: seal.Whole}, *c.Sealed).Reveal()
			parsed, err := airflow.Parse(c.ID, text)
			if err != nil { // sealed with another key
				held[c.ID] = text
				continue
			}
			c.Connection = parsed
		}
		of := c.Connection
		for field, text := range map[string]**secret.Text{"password": &c.Connection.Password, "extra": &c.Connection.Extra} {
			if *text != nil {
				opened := o.open(seal.Place{Name: name, Field: field, Of: of}, **text)
				*text = &opened
			}
		}
		held[c.ID] = string(c.Connection.JSON())
	}
	return held, nil
}

func (o opener) variables(file string, content []byte) (map[string]string, error) {
	variables, faults, err := export.ReadVariables(file, content)
	if err := check(variables, faults, err); err != nil {
		return nil, err
	}
	held := make(map[string]string, len(variables))
	for _, v := range variables {
		held[v.Key] = o.open(seal.Place{Name: entry.Name{Kind: entry.Variable, ID: v.Key}, Field: seal.Whole}, v.Value).Reveal()
	}
	return held, nil
}

// readFile tells what a file holds once it is opened, by id.
type readFile func(file string, content []byte) (map[string]string, error)

// verify refuses a rewritten file that holds anything but what the original did.
func (read readFile) verify(file string, before, after []byte) error {
	was, err := read(file, before)
	if err != nil {
		return err
	}
	is, err := read(file, after)
	if err != nil || !maps.Equal(was, is) {
		return errAltered
	}
	return nil
}
