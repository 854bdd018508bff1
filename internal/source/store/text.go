package store

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Text is how most of Airflow's classes read what a store keeps: a connection as a URI or as
// JSON, a variable as it stands.
type Text struct{}

// Connection implements Store.
func (Text) Connection(id string, kept secret.Text) (airflow.Connection, error) {
	return airflow.Parse(id, kept.Reveal())
}

// Variable implements Store.
func (Text) Variable(kept secret.Text) (secret.Text, error) { return kept, nil }

// checkText refuses what is no text, of which neither a file nor an environment makes any use.
func checkText(kept secret.Text) error {
	text := kept.Reveal()
	switch {
	case !utf8.ValidString(text):
		return errors.New("the secret is binary, or its text is not UTF-8; store text")
	case strings.ContainsRune(text, 0):
		return errors.New("the secret holds the character NUL; store text")
	}
	return nil
}
