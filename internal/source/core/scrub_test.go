package core

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// A token that repeats itself, and an answer that nearly repeats it, cost no more than
// their length.
func TestScrubbingTakesLinearTime(t *testing.T) {
	text := strings.Repeat("needle", longestWords/6)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := worked(t)
	for range 20 {
		newScrubber(secret.New(text)).text(text)
		newScrubber(secret.New(text[:len(text)/2]+"x"), secret.New("y"+text)).text(text)
	}
	assert.Less(t, worked(t)-before, time.Second)
}

// worked is how long this thread has run, which other work on the machine does not change.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var usage unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_THREAD, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func TestNoTokenIsTakenApartForNothing(t *testing.T) {
	idle := scrubber{hidden: func() []string {
		assert.Fail(t, "nobody said a word")
		return nil
	}}
	assert.Empty(t, idle.text(""))
}

func TestWordsBeyondAllMeasureAreNotRepeated(t *testing.T) {
	words := strings.Repeat("word ", longestWords)
	assert.Equal(t, "[327680 bytes]", newScrubber(secret.New("token")).text(words))
}
