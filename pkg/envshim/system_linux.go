package envshim

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// openOnly opens a directory as a handle that looks names up, and reads nothing.
const openOnly = unix.O_PATH

// ofSupervisor has a child die with the thread that starts it.
func ofSupervisor(attributes syscall.SysProcAttr) *syscall.SysProcAttr {
	attributes.Pdeathsig = syscall.SIGKILL
	return &attributes
}

// adoptOrphans makes this process inherit what its descendants leave behind, as a first
// process does anyway: not every first process collects what has ended. It does not
// pass to the child.
func adoptOrphans() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// forbidDump has nobody of the same user look into this process, until it becomes another.
func forbidDump() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
