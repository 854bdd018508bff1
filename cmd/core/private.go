package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// keepMemoryPrivate makes sure that the values and keys in this process's memory reach
// no core file and no debugger of another process.
func keepMemoryPrivate() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core files: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the process to debuggers: %w", err)
	}
	return nil
}
