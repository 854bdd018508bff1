package main

import "golang.org/x/sys/unix"

// askTerminal is what only a terminal answers.
const askTerminal = unix.TIOCGETA

func isInMemory(stat unix.Statfs_t) bool {
	return unix.ByteSliceToString(stat.Fstypename[:]) == "tmpfs"
}
