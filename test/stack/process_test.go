package stack

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTwoStreamsDoNotMixWithinALine(t *testing.T) {
	all := newOutput()
	one, other := &lines{to: all}, &lines{to: all}
	for _, part := range []struct {
		stream *lines
		text   string
	}{{one, `{"a":`}, {other, "{\"b\":1}\n{\"c\""}, {one, "2}\n"}, {other, ":3}\n"}} {
		count, err := part.stream.Write([]byte(part.text))
		require.NoError(t, err)
		assert.Equal(t, len(part.text), count)
	}
	assert.Equal(t, "{\"b\":1}\n{\"a\":2}\n{\"c\":3}\n", all.String())
	assert.NoError(t, all.check())
}
