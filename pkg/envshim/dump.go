package envshim

import "golang.org/x/sys/unix"

// ForbidCoreDump keeps values out of core files, and other processes of the same user
// out of this one's memory. Unlike RLIMIT_CORE, which a process that may not be dumped
// needs no more, it ends at execve, so the program that is started may dump core as it
// always could. It fails only on kernels that know no such thing, where nothing else
// could be done either.
func ForbidCoreDump() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
