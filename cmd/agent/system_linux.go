package main

import "golang.org/x/sys/unix"

// askTerminal is what only a terminal answers.
const askTerminal = unix.TCGETS

func isInMemory(stat unix.Statfs_t) bool {
	return stat.Type == unix.TMPFS_MAGIC || stat.Type == unix.RAMFS_MAGIC
}
