package main

import (
	"io/fs"
	"math"
	"runtime/debug"

	"github.com/leoflow/secrets-csi/internal/cgroup"
)

// limitMemory has the garbage collector keep below what the container may take, and returns
// that; 0 where there is no limit. A limit that GOMEMLIMIT sets is left as it is.
func limitMemory(root fs.FS) int64 {
	group, limited := cgroup.MemoryOf(root)
	limit := group.Limit
	given := debug.SetMemoryLimit(-1)
	switch {
	case given != math.MaxInt64 && limited:
		return min(limit, given)
	case given != math.MaxInt64:
		return given
	case !limited:
		return 0
	}
	// The rest is for what Go does not count: the program's own pages, and the kernel's
	// buffers of connections.
	debug.SetMemoryLimit(limit / 5 * 4)
	return limit
}
