// Package seal encrypts single values of an export file, so that the file can lie in
// a repository or a Kubernetes Secret and be opened by core alone.
//
// A sealed value is text: the marker "sealed:v1:" and base64(nonce‖ciphertext‖tag) of
// AES-256-GCM. It is bound to its place, so that the password of one connection does
// not open as that of another.
package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Marker begins every sealed value.
const Marker = "sealed:v1:"

// Errors of Open. Neither says anything of the value.
var (
	ErrMalformed = errors.New("sealed value is malformed: want " + Marker + " and base64(nonce‖ciphertext‖tag)")
	ErrUnopened  = errors.New("sealed value does not open: it was sealed with another key or for another entry or field, or was changed since")
)

// Whole is the Field of a value that is sealed in one piece: a variable, or a
// connection as a URI or as JSON.
const Whole = "value"

// Place is where a sealed value belongs.
type Place struct {
	Name entry.Name
	// Field is a connection's field, such as "password", or Whole.
	Field string
}

// binding is the additional data that ties a sealed value to its place. No part can
// hold a NUL where it would matter: kinds and fields are ours, and the id stands last.
func (p Place) binding() []byte {
	return []byte(strings.Join([]string{"leoflow", string(p.Name.Kind), p.Field, p.Name.ID}, "\x00"))
}

// IsSealed tells whether text claims to be a sealed value.
func IsSealed(text string) bool { return strings.HasPrefix(text, Marker) }

// Seal encrypts value for its place. Sealing twice gives two different texts.
func (k *Key) Seal(place Place, value secret.Text) string {
	sealed := make([]byte, k.aead.NonceSize(), k.aead.NonceSize()+value.Len()+k.aead.Overhead())
	_, _ = rand.Read(sealed) // never fails: crypto/rand ends the program first
	sealed = k.aead.Seal(sealed, sealed, []byte(value.Reveal()), place.binding())
	return Marker + base64.StdEncoding.EncodeToString(sealed)
}

// Open decrypts what Seal made for the same place.
func (k *Key) Open(place Place, text string) (secret.Text, error) {
	encoded, marked := strings.CutPrefix(text, Marker)
	sealed, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !marked || err != nil || len(sealed) < k.aead.NonceSize()+k.aead.Overhead() {
		return secret.Text{}, ErrMalformed
	}
	nonce, ciphertext := sealed[:k.aead.NonceSize()], sealed[k.aead.NonceSize():]
	value, err := k.aead.Open(nil, nonce, ciphertext, place.binding())
	if err != nil {
		return secret.Text{}, ErrUnopened
	}
	return secret.New(string(value)), nil
}
