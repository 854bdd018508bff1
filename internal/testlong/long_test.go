package testlong

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCount(t *testing.T) {
	t.Setenv(environment, "")
	assert.Equal(t, 1, Count(1, 10))
	t.Setenv(environment, "1")
	assert.Equal(t, 10, Count(1, 10))
}
