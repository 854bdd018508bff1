package core

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// A token that repeats itself, and an answer that nearly repeats it, cost no more than
// their length.
func TestScrubbingTakesLinearTime(t *testing.T) {
	text := strings.Repeat("needle", longestWords/6)
	started := time.Now()
	for range 20 {
		newScrubber(secret.New(text)).text(text)
		newScrubber(secret.New(text[:len(text)/2]+"x"), secret.New("y"+text)).text(text)
	}
	assert.Less(t, time.Since(started), time.Second)
}

func TestNoTokenIsTakenApartForNothing(t *testing.T) {
	idle := scrubber{func() []string {
		assert.Fail(t, "nobody said a word")
		return nil
	}}
	assert.Empty(t, idle.text(""))
}

func TestWordsBeyondAllMeasureAreNotRepeated(t *testing.T) {
	words := strings.Repeat("word ", longestWords)
	assert.Equal(t, "[327680 bytes]", newScrubber(secret.New("token")).text(words))
}
