// Package secret holds the one type that carries a secret value through this
// project. It prints, logs and marshals as "[redacted]", so that a value leaves it
// only where Reveal is written out.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Text is a secret string: a password, a token, a rendered connection. The zero
// value is the empty secret. It is a struct so that no conversion to string compiles,
// and it points to the value because fmt calls no method of a field that is not
// exported: of a struct with such a field it prints whatever lies in there.
type Text struct{ value *string }

// New wraps value.
func New(value string) Text { return Text{&value} }

// Reveal returns the value. Every call is a place where a secret leaves its wrapper.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// Len is the length of the value in bytes.
func (t Text) Len() int { return len(t.Reveal()) }

// Equal compares in time that depends on the lengths alone.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

// String is redacted.
func (Text) String() string { return redacted }

// GoString is redacted.
func (Text) GoString() string { return redacted }

// LogValue is redacted.
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is redacted, and so is JSON.
func (Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format covers every verb, %x and %d among them, which would otherwise reach into
// the struct.
func (Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
