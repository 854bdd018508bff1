//go:build race

package store

// slower is how much the race detector is allowed to slow a reload down.
const slower = 10
