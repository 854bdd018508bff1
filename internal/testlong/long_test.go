package testlong

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCount(t *testing.T) {
	t.Setenv(environment, "")
	assert.Equal(t, 1, Count(1, 10))
	assert.Equal(t, 8, Seconds(t, 8))
	t.Setenv(environment, "60")
	assert.Equal(t, 10, Count(1, 10))
	assert.Equal(t, 60, Seconds(t, 8))
}
