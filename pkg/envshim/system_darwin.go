package envshim

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// openOnly opens a directory as it opens any.
const openOnly = unix.O_RDONLY

// ofSupervisor leaves a child to itself where its supervisor is killed: macOS knows no such bond.
func ofSupervisor(attributes syscall.SysProcAttr) *syscall.SysProcAttr { return &attributes }

// adoptOrphans does nothing: launchd has the orphans.
func adoptOrphans() {}

// forbidDump does nothing: macOS asks an administrator before one process looks into another.
func forbidDump() {}
