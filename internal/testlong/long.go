// Package testlong tells a test how much to do. 'make test' is over in minutes; where more
// of the same finds more, 'make test-long' does more of it.
package testlong

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// environment names the variable that 'make test-long' sets: for how many seconds a test
// goes on that is counted by time.
const environment = "LEOFLOW_TEST_LONG"

// Count is the usual number, or with 'make test-long' the large one.
func Count(usual, long int) int {
	if os.Getenv(environment) != "" {
		return long
	}
	return usual
}

// Seconds is the usual number of them, or that of 'make test-long'.
func Seconds(t testing.TB, usual int) int {
	t.Helper()
	long := os.Getenv(environment)
	if long == "" {
		return usual
	}
	seconds, err := strconv.Atoi(long)
	require.NoError(t, err, environment)
	require.GreaterOrEqual(t, seconds, usual, environment)
	return seconds
}
