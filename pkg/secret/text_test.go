package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTextIsRedactedWhereverItIsPrinted(t *testing.T) {
	const needle = "n33dle"
	text := New(needle)
	holder := struct {
		Password Text
		Pointer  *Text
		hidden   Text
		nested   struct{ hidden *Text }
	}{text, &text, text, struct{ hidden *Text }{&text}}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+"\n", text)
		fmt.Fprintf(&out, verb+"\n", &text)
		fmt.Fprintf(&out, verb+"\n", holder)
	}
	fmt.Fprintln(&out, errors.Join(fmt.Errorf("using %v", text)))
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("message", "text", text, "pointer", &text, "holder", holder)
	}
	require.NoError(t, json.NewEncoder(&out).Encode(holder))
	require.NoError(t, json.NewEncoder(&out).Encode(map[Text]Text{text: text}))

	assert.NotContains(t, out.String(), needle)
	assert.NotContains(t, out.String(), fmt.Sprintf("%x", needle))
	assert.Contains(t, out.String(), redacted)
	assert.Equal(t, needle, text.Reveal())
}

func TestEqual(t *testing.T) {
	assert.True(t, New("a").Equal(New("a")))
	assert.False(t, New("a").Equal(New("b")))
	assert.False(t, New("a").Equal(New("ab")))
	assert.True(t, Text{}.Equal(New("")))
}
