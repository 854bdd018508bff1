package audit

import (
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// reserve is kept free on the log's disk for records of what was given: some hundred
	// thousand of them.
	reserve = 64 << 20
	// lookEvery is how often to look how much is free.
	lookEvery = time.Second
)

// roomOf tells whether there is more than the reserve left where out is written. Of a sink
// that is no file nobody can tell.
func roomOf(out io.Writer) func() bool {
	file, ok := out.(interface {
		Stat() (os.FileInfo, error)
		Fd() uintptr
	})
	if !ok {
		return always
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return always
	}
	var looked time.Time
	enough := true
	return func() bool {
		if now := time.Now(); now.Sub(looked) >= lookEvery {
			looked = now
			var disk unix.Statfs_t
			if unix.Fstatfs(int(file.Fd()), &disk) == nil {
				enough = disk.Bavail*uint64(disk.Bsize) > reserve
			}
		}
		return enough
	}
}

func always() bool { return true }
