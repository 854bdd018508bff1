package mount

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Usage is how much of a volume is used.
type Usage struct {
	Bytes  Amount
	Inodes Amount
}

// Amount is a total and what is used and available of it.
type Amount struct {
	Total     int64
	Used      int64
	Available int64
}

// Stats tells how full the volume at target is: what it shows, of what it may show. The
// other half of the tmpfs is for the generation that comes next.
func Stats(target string) (Usage, error) {
	volume, err := openVolume(target)
	if err != nil {
		return Usage{}, err
	}
	defer volume.close()
	usage, err := usageOf(volume.directory)
	if err != nil {
		return Usage{}, fmt.Errorf("measuring %s: %w", target, err)
	}
	return Usage{Bytes: usage.Bytes.half(), Inodes: usage.Inodes.half()}, nil
}

func (a Amount) half() Amount {
	a.Total /= 2
	a.Available = max(0, a.Total-a.Used)
	return a
}

// usageOf asks the file system that dir is on, and makes sure that it is a tmpfs.
func usageOf(dir directory) (Usage, error) {
	var stat unix.Statfs_t
	if err := dir.do("fstatfs", ".", func() error { return unix.Fstatfs(int(dir), &stat) }); err != nil {
		return Usage{}, err
	}
	if stat.Type != unix.TMPFS_MAGIC {
		return Usage{}, ErrForeign
	}
	return Usage{
		Bytes:  amount(stat.Blocks, stat.Bfree, stat.Bsize),
		Inodes: amount(stat.Files, stat.Ffree, 1),
	}, nil
}

func amount(total, free uint64, unit int64) Amount {
	return Amount{
		Total:     int64(total) * unit,
		Used:      int64(total-free) * unit,
		Available: int64(free) * unit,
	}
}
