package report

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhatWasSaidIsRememberedWithinBounds(t *testing.T) {
	var said Said
	assert.True(t, said.first("a", "b"))
	assert.False(t, said.first("a", "b"))
	assert.True(t, said.first("a\x00", "b"))
	for i := range 2 * mostNoticed {
		said.first(string(rune(i)), "x")
	}
	assert.LessOrEqual(t, len(said.said), mostNoticed)
}
