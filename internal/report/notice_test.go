package report

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
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

type nobody struct{}

func (nobody) Record(Volume, EventReason, string) {}

// Thousands of entries that somebody broke are no thousands of lines, and none at the next delivery.
func TestAVolumeOfManyNoticesIsSaidOnceAndWithinBounds(t *testing.T) {
	var volume Report
	for i := range 2 * mostNoticed {
		broken := Entry{Entry: layout.Entry{Kind: layout.Variable, ID: fmt.Sprint(i), State: layout.Invalid,
			Notices: []layout.Notice{{Code: "invalid", Message: "its seal is broken"}}}}
		broken.Why = broken.Entry
		volume.Entries = append(volume.Entries, broken)
	}
	var log bytes.Buffer
	var said Said
	volume.notices(slog.New(slog.NewTextHandler(&log, nil)), nobody{}, &said)
	assert.Equal(t, mostTold, bytes.Count(log.Bytes(), []byte("entry has a notice")))
	log.Reset()
	volume.notices(slog.New(slog.NewTextHandler(&log, nil)), nobody{}, &said)
	assert.Empty(t, log.String())
}
