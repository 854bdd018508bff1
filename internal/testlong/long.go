// Package testlong tells a test how much to do. 'make test' is over in minutes; where more
// of the same finds more, 'make test-long' does more of it.
package testlong

import "os"

// environment names the variable that 'make test-long' sets.
const environment = "LEOFLOW_TEST_LONG"

// Count is the usual number, or with 'make test-long' the large one.
func Count(usual, long int) int {
	if os.Getenv(environment) != "" {
		return long
	}
	return usual
}
