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

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

var (
	rawKey = []byte("0123456789abcdef0123456789ABCDE\xff")
	place  = Place{Name: entry.Name{Kind: entry.Connection, ID: "warehouse"}, Field: "password", Of: connection}

	connection = airflow.Connection{Type: "postgres", Host: new("db"), Port: new(uint16(5432)), Login: new("etl"), Schema: new("")}
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
		{strings.Repeat("0", 64), "seal key repeats itself too much to be random; make one by 'head -c 32 /dev/urandom | base64'"},
		{base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32)), "seal key repeats itself too much to be random; make one by 'head -c 32 /dev/urandom | base64'"},
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
	for _, binding := range []string{
		"sealed:v1:leoflow\x00connection\x00password\x00warehouse",
		"sealed:v2:7:leoflow2:v210:connection8:password9:warehouse8:postgres2:db4:54323:etl0:",
	} {
		opened, err := newKey(t).Open(place, foreign(t, binding, "documented"))
		require.NoError(t, err)
		assert.Equal(t, "documented", opened.Reveal())
	}
	whole := Place{Name: entry.Name{Kind: entry.Variable, ID: "v"}, Field: Whole}
	opened, err := newKey(t).Open(whole, foreign(t, "sealed:v2:7:leoflow2:v28:variable5:value1:v0:----", "documented"))
	require.NoError(t, err)
	assert.Equal(t, "documented", opened.Reveal())
}

// foreign is what another tool makes: the marker, and the additional data after it.
func foreign(t testing.TB, binding, value string) string {
	key := newKey(t)
	nonce := []byte("123456789012")
	ciphertext := key.aead.Seal(nil, nonce, []byte(value), []byte(binding[len(Marker):]))
	return binding[:len(Marker)] + base64.StdEncoding.EncodeToString(append(nonce, ciphertext...))
}

// Whoever may edit the file and does not have the key can have no password sent elsewhere.
func TestASealedFieldIsBoundToWhereItIsSent(t *testing.T) {
	key := newKey(t)
	sealed := key.Seal(place, secret.New("value"))
	for name, change := range map[string]func(*airflow.Connection){
		"another host":                     func(c *airflow.Connection) { c.Host = new("collector.attacker.example") },
		"no host":                          func(c *airflow.Connection) { c.Host = nil },
		"another port":                     func(c *airflow.Connection) { c.Port = new(uint16(80)) },
		"no port":                          func(c *airflow.Connection) { c.Port = nil },
		"another type":                     func(c *airflow.Connection) { c.Type = "http" },
		"another login":                    func(c *airflow.Connection) { c.Login = new("admin") },
		"no schema, not empty":             func(c *airflow.Connection) { c.Schema = nil },
		"another schema":                   func(c *airflow.Connection) { c.Schema = new("main") },
		"the same text, otherwise divided": func(c *airflow.Connection) { c.Host, c.Port = new("db4:5432"), nil },
	} {
		elsewhere := place
		change(&elsewhere.Of)
		_, err := key.Open(elsewhere, sealed)
		assert.ErrorIs(t, err, ErrUnopened, name)
	}
	described := place
	described.Of.Description = new("the warehouse")
	_, err := key.Open(described, sealed)
	assert.NoError(t, err)
}

func TestOpenRefuses(t *testing.T) {
	key := newKey(t)
	sealed := key.Seal(place, secret.New("value"))
	other, err := ParseKey(secret.New("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
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
		"another connection": {key, Place{entry.Name{Kind: entry.Connection, ID: "other"}, "password", connection}, sealed, ErrUnopened},
		"another kind":       {key, Place{entry.Name{Kind: entry.Variable, ID: "warehouse"}, "password", connection}, sealed, ErrUnopened},
		"another field":      {key, Place{place.Name, "extra", connection}, sealed, ErrUnopened},
		"another nonce":      {key, place, flipped(0), ErrUnopened},
		"changed":            {key, place, flipped(12), ErrUnopened},
		"another tag":        {key, place, flipped(len(raw) - 1), ErrUnopened},
		"cut short":          {key, place, sealed[:len(Marker)+16], ErrMalformed},
		"nothing":            {key, place, Marker, ErrMalformed},
		"no base64":          {key, place, Marker + "!" + sealed[len(Marker):], ErrMalformed},
		"no marker":          {key, place, sealed[len(Marker):], ErrMalformed},
		"an older version":   {key, place, OldMarker + sealed[len(Marker):], ErrUnopened},
		"another version":    {key, place, "sealed:v3:" + sealed[len(Marker):], ErrMalformed},
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
	f.Add(foreign(f, "sealed:v1:leoflow\x00connection\x00password\x00warehouse", "documented"))
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
