package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

var (
	rawKey = []byte("0123456789abcdef0123456789ABCDE\xff")
	place  = Place{Name: entry.Name{Kind: entry.Connection, ID: "warehouse"}, Field: "password"}
)

func newKey(t testing.TB) *Key {
	key, err := ParseKey(secret.New(hex.EncodeToString(rawKey)))
	require.NoError(t, err)
	return key
}

func TestParseKey(t *testing.T) {
	for name, text := range map[string]string{
		"hex":              hex.EncodeToString(rawKey),
		"hex, upper case":  strings.ToUpper(hex.EncodeToString(rawKey)),
		"base64":           base64.StdEncoding.EncodeToString(rawKey),
		"base64, no pad":   base64.RawStdEncoding.EncodeToString(rawKey),
		"base64url":        base64.URLEncoding.EncodeToString(rawKey),
		"last newline":     base64.StdEncoding.EncodeToString(rawKey) + "\n",
		"space around it":  "  " + hex.EncodeToString(rawKey) + "\r\n",
		"base64url no pad": base64.RawURLEncoding.EncodeToString(rawKey),
	} {
		key, err := ParseKey(secret.New(text))
		if assert.NoError(t, err, name) {
			assert.Equal(t, string(rawKey), key.Secret().Reveal(), name)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	whole := hex.EncodeToString(rawKey)
	for _, row := range []struct{ text, message string }{
		{"", "seal key is empty; want 32 bytes as base64 or hex"},
		{" \n", "seal key is empty; want 32 bytes as base64 or hex"},
		{whole[:62], "seal key of 62 characters is neither base64 nor hex; want 32 bytes as base64 or hex"},
		{whole[:60], "seal key has 45 bytes; want 32 as base64 or hex"},
		{whole[:63] + "g", "seal key has 48 bytes; want 32 as base64 or hex"},
		{whole + "00", "seal key of 66 characters is neither base64 nor hex; want 32 bytes as base64 or hex"},
		{base64.StdEncoding.EncodeToString(rawKey[:31]), "seal key has 31 bytes; want 32 as base64 or hex"},
		{string(rawKey), "seal key of 32 characters is neither base64 nor hex; want 32 bytes as base64 or hex"},
	} {
		_, err := ParseKey(secret.New(row.text))
		assert.EqualError(t, err, row.message)
	}
}

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	key := newKey(t)
	for _, value := range []string{"", "p", "p\x00ss\nwörd", strings.Repeat("x", 1<<17)} {
		sealed := key.Seal(place, secret.New(value))
		assert.True(t, IsSealed(sealed))
		opened, err := key.Open(place, sealed)
		require.NoError(t, err)
		assert.Equal(t, value, opened.Reveal())
	}
	assert.NotEqual(t, key.Seal(place, secret.New("p")), key.Seal(place, secret.New("p")), "a nonce is used once")
}

// The format is a contract with other tools, so it is put together by hand here.
func TestOpenReadsTheDocumentedFormat(t *testing.T) {
	opened, err := newKey(t).Open(place, foreign(t, "documented"))
	require.NoError(t, err)
	assert.Equal(t, "documented", opened.Reveal())
}

func foreign(t testing.TB, value string) string {
	key := newKey(t)
	nonce := []byte("123456789012")
	ciphertext := key.aead.Seal(nil, nonce, []byte(value), []byte("leoflow\x00connection\x00password\x00warehouse"))
	return "sealed:v1:" + base64.StdEncoding.EncodeToString(append(nonce, ciphertext...))
}

func TestOpenRefuses(t *testing.T) {
	key := newKey(t)
	sealed := key.Seal(place, secret.New("value"))
	other, err := ParseKey(secret.New(strings.Repeat("00", KeySize)))
	require.NoError(t, err)
	raw, err := base64.StdEncoding.DecodeString(sealed[len(Marker):])
	require.NoError(t, err)
	flipped := func(at int) string {
		raw := bytes.Clone(raw)
		raw[at] ^= 1
		return Marker + base64.StdEncoding.EncodeToString(raw)
	}

	for name, row := range map[string]struct {
		key   *Key
		place Place
		text  string
		err   error
	}{
		"another key":        {other, place, sealed, ErrUnopened},
		"another connection": {key, Place{entry.Name{Kind: entry.Connection, ID: "other"}, "password"}, sealed, ErrUnopened},
		"another kind":       {key, Place{entry.Name{Kind: entry.Variable, ID: "warehouse"}, "password"}, sealed, ErrUnopened},
		"another field":      {key, Place{place.Name, "extra"}, sealed, ErrUnopened},
		"another nonce":      {key, place, flipped(0), ErrUnopened},
		"changed":            {key, place, flipped(12), ErrUnopened},
		"another tag":        {key, place, flipped(len(raw) - 1), ErrUnopened},
		"cut short":          {key, place, sealed[:len(Marker)+16], ErrMalformed},
		"nothing":            {key, place, Marker, ErrMalformed},
		"no base64":          {key, place, Marker + "!" + sealed[len(Marker):], ErrMalformed},
		"no marker":          {key, place, sealed[len(Marker):], ErrMalformed},
		"another version":    {key, place, "sealed:v2:" + sealed[len(Marker):], ErrMalformed},
	} {
		_, err := row.key.Open(row.place, row.text)
		assert.ErrorIs(t, err, row.err, name)
	}
}

func TestKeyIsRedacted(t *testing.T) {
	key := newKey(t)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", key)
		fmt.Fprintf(&out, verb+"\n", struct{ K *Key }{key})
	}
	for _, needle := range []string{string(rawKey), hex.EncodeToString(rawKey), "48 49 50"} {
		assert.NotContains(t, out.String(), needle)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(foreign(f, "documented"))
	f.Add(Marker)
	f.Add(Marker + "AAAA")
	f.Add("sealed:v2:AAAA")
	key := newKey(f)
	f.Fuzz(func(t *testing.T, text string) {
		value, err := key.Open(place, text)
		if err != nil {
			require.True(t, errorIsOneOf(err, ErrMalformed, ErrUnopened))
			require.Zero(t, value.Len())
			return
		}
		require.Equal(t, "documented", value.Reveal(), "only what the key made opens")
	})
}

func errorIsOneOf(err error, known ...error) bool {
	for _, each := range known {
		if errors.Is(err, each) {
			return true
		}
	}
	return false
}

func FuzzParseKey(f *testing.F) {
	f.Add(hex.EncodeToString(rawKey))
	f.Add(base64.RawURLEncoding.EncodeToString(rawKey))
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParseKey(secret.New(text))
		if err == nil {
			require.Equal(t, KeySize, key.Secret().Len())
		} else if len(text) > 8 {
			require.NotContains(t, err.Error(), text)
		}
	})
}
