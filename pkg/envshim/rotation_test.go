package envshim

import (
	"hash/maphash"
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"
)

func TestParseRotation(t *testing.T) {
	for text, rotation := range map[string]Rotation{
		"": {}, "restart": {restart: true},
		"signal:HUP": {signal: unix.SIGHUP}, "signal:SIGUSR1": {signal: unix.SIGUSR1}, "signal:term": {signal: unix.SIGTERM},
	} {
		parsed, err := ParseRotation(text)
		assert.NoError(t, err)
		assert.Equal(t, rotation, parsed)
	}
	for _, text := range []string{"reload", "signal", "signal:", "signal:KILL", "signal:SIGSTOP", "signal:HANGUP", "signal:1", " restart"} {
		_, err := ParseRotation(text)
		assert.ErrorContains(t, err, text)
	}
}

func TestFingerprintsTellEntriesApart(t *testing.T) {
	fingerprints := fingerprinter{maphash.MakeSeed()}
	a, b := variable("a", "1"), variable("b", "2")
	assert.Equal(t, fingerprints.of([]Entry{a, b}), fingerprints.of([]Entry{b, a}))
	for _, other := range [][]Entry{nil, {a}, {variable("a", "12")}, {a, variable("b", "")}, {variable("a", "2"), variable("b", "1")}} {
		assert.NotEqual(t, fingerprints.of([]Entry{a, b}), fingerprints.of(other))
	}
}
