package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pageSize is the unit in which a tmpfs spends memory on a file's content.
var pageSize = int64(os.Getpagesize())

// Footprint is the memory that files take on a tmpfs, in bytes: whole pages for each.
// Directories and links take none.
func Footprint(files []File) int64 {
	var pages int64
	for _, file := range files {
		pages += (int64(len(file.Data)) + pageSize - 1) / pageSize
	}
	return pages * pageSize
}

// full puts figures to the system's "no space left", which it also says when the
// kernel's own memory is short. Other errors stay as they are.
func (v *volume) full(err error, files []File) error {
	if !errors.Is(err, unix.ENOSPC) {
		return err
	}
	usage, measuring := usageOf(v.dir)
	return errors.Join(usage.full(files), measuring)
}

func (u Usage) full(files []File) error {
	return fmt.Errorf("%w: %d files need %d bytes beside the %d in use, and %d is the cap (inodes: %d of %d in use): ask for fewer entries or give volumes more room",
		ErrFull, len(files), Footprint(files), u.Bytes.Used, u.Bytes.Total, u.Inodes.Used, u.Inodes.Total)
}
