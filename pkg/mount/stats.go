package mount

import (
	"fmt"
	"os"

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

// Stats tells how full the volume at target is.
func Stats(target string) (Usage, error) {
	volume, err := openVolume(target)
	if err != nil {
		return Usage{}, err
	}
	defer volume.close()
	return usageOf(volume.dir)
}

// usageOf asks the file system that dir is on, and makes sure that it is a tmpfs.
func usageOf(dir *os.File) (Usage, error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &stat); err != nil {
		return Usage{}, fmt.Errorf("looking at %s: %w", dir.Name(), err)
	}
	if stat.Type != unix.TMPFS_MAGIC {
		return Usage{}, fmt.Errorf("looking at %s: %w", dir.Name(), ErrForeign)
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

// makeSureOfRoom refuses what cannot fit before any of it is written.
func (v *volume) makeSureOfRoom(need int64) error {
	usage, err := usageOf(v.dir)
	if err == nil && need > usage.Bytes.Available {
		err = usage.full(need)
	}
	return err
}

func (u Usage) full(need int64) error {
	return fmt.Errorf("%w: it needs %d bytes beside the %d in use, and %d is the cap (inodes: %d of %d in use); ask for fewer entries or give volumes more room",
		ErrFull, need, u.Bytes.Used, u.Bytes.Total, u.Inodes.Used, u.Inodes.Total)
}

// full puts figures to the system's "no space left", which the kernel also says when
// inodes run out, or its own memory.
func (v *volume) full(files []File) error {
	usage, err := usageOf(v.dir)
	if err != nil {
		return err
	}
	return usage.full(Footprint(files))
}
