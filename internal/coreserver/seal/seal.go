// Package seal encrypts single values of an export file, so that the file can lie in
// a repository or a Kubernetes Secret and be opened by core alone.
//
// A sealed value is text: the marker "sealed:v2:" and base64(nonce‖ciphertext‖tag) of
// AES-256-GCM. It is bound to its place, so that the password of one connection does
// not open as that of another, nor as that of the same one at another host. Version 1, which
// is not bound to host, port, type, login and schema, is still opened.
package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Marker begins every value that is sealed now, and OldMarker those of version 1.
const (
	Marker    = "sealed:v2:"
	OldMarker = "sealed:v1:"
)

// Errors of Open. Neither says anything of the value.
var (
	ErrMalformed = errors.New("sealed value is malformed: want " + Marker + " and base64(nonce‖ciphertext‖tag)")
	ErrUnopened  = errors.New("sealed value does not open: it was sealed with another key, or for another entry or field, or host, port, type, login or schema were changed since")
)

// Whole is the Field of a value that is sealed in one piece: a variable, or a
// connection as a URI or as JSON.
const Whole = "value"

// Place is where a sealed value belongs.
type Place struct {
	Name entry.Name
	// Field is a connection's field, such as "password", or Whole.
	Field string
	// Of is the connection that the field is of, which says where the value is sent.
	// What is sealed as a whole has none.
	Of airflow.Connection
}

// oldBinding is the additional data of version 1. No part can hold a NUL where it would
// matter: kinds and fields are ours, and the id stands last.
func (p Place) oldBinding() []byte {
	return []byte(strings.Join([]string{"leoflow", string(p.Name.Kind), p.Field, p.Name.ID}, "\x00"))
}

// binding is the additional data that ties a sealed value to its place: each part as its
// length, a colon and itself, or a hyphen where there is none.
func (p Place) binding() []byte {
	parts := []*string{
		new("leoflow"), new("v2"), (*string)(&p.Name.Kind), &p.Field, &p.Name.ID,
		&p.Of.Type, p.Of.Host, nil, p.Of.Login, p.Of.Schema,
	}
	if p.Of.Port != nil {
		parts[7] = new(strconv.Itoa(int(*p.Of.Port)))
	}
	var binding []byte
	for _, part := range parts {
		if part == nil {
			binding = append(binding, '-')
			continue
		}
		binding = append(strconv.AppendInt(binding, int64(len(*part)), 10), ':')
		binding = append(binding, *part...)
	}
	return binding
}

// IsSealed tells whether text claims to be a sealed value.
func IsSealed(text string) bool { return strings.HasPrefix(text, Marker) || IsOld(text) }

// IsOld tells whether text claims to be a sealed value of version 1.
func IsOld(text string) bool { return strings.HasPrefix(text, OldMarker) }

// Seal encrypts value for its place. Sealing twice gives two different texts.
func (k *Key) Seal(place Place, value secret.Text) string {
	sealed := make([]byte, k.aead.NonceSize(), k.aead.NonceSize()+value.Len()+k.aead.Overhead())
	_, _ = rand.Read(sealed) // never fails: crypto/rand ends the program first
	sealed = k.aead.Seal(sealed, sealed, []byte(value.Reveal()), place.binding())
	return Marker + base64.StdEncoding.EncodeToString(sealed)
}

// Open decrypts what Seal made for the same place, and what version 1 did.
func (k *Key) Open(place Place, text string) (secret.Text, error) {
	encoded, marked := strings.CutPrefix(text, Marker)
	binding := place.binding
	if !marked {
		encoded, marked = strings.CutPrefix(text, OldMarker)
		binding = place.oldBinding
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !marked || err != nil || len(sealed) < k.aead.NonceSize()+k.aead.Overhead() {
		return secret.Text{}, ErrMalformed
	}
	nonce, ciphertext := sealed[:k.aead.NonceSize()], sealed[k.aead.NonceSize():]
	value, err := k.aead.Open(nil, nonce, ciphertext, binding())
	if err != nil {
		return secret.Text{}, ErrUnopened
	}
	return secret.New(string(value)), nil
}
