package attribute

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever writes flags is told of flags.
func TestMistakesAreNamedAsTheyWereWritten(t *testing.T) {
	flag := func(name string) string { return "--" + name }
	for message, written := range map[string]map[string]string{
		`the flags: nothing is asked for; list ids under "connections" or "variables"`:       {"connections": " "},
		`--mode: "9" is not an octal mode; write it like "0440"`:                             {"mode": "9", "variables": "a"},
		`--connections: item 2: it is empty; write ids with one comma between them`:          {"connections": "a,"},
		`--variables: item 1: "a@x": the source "x" cannot be had here; there is core, file`: {"variables": "a@x"},
	} {
		_, err := Parse(written, []string{"core", "file"}, "the flags", flag)
		require.EqualError(t, err, message)
	}
	volume, err := Parse(map[string]string{"connections": "a, b@file?"}, []string{"core", "file"}, "the flags", flag)
	require.NoError(t, err)
	assert.Equal(t, "core", volume.Provider)
	assert.Equal(t, 2, volume.IDs())
}
