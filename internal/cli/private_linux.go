package cli

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func forbidDebuggers() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the process to debuggers: %w", err)
	}
	return nil
}
