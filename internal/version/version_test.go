package version

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLine(t *testing.T) {
	assert.Equal(t, "agent v1.2.3 (commit 0e1a6ac, go1.26.8)", line("agent", "v1.2.3", "0e1a6ac", "go1.26.8"))
	assert.Equal(t, "agent dev (go1.26.8)", line("agent", "dev", "", "go1.26.8"))
}
