//go:build linux

package mount

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// place is where a directory is among the mounts.
type place struct {
	// id is the mount's number, unique for as long as the machine runs where unique is set,
	// and while the mount lasts otherwise.
	id     uint64
	unique bool
	// isRoot is set if the directory is the mount's root.
	isRoot bool
}

// mountOf tells which mount dir is on.
func mountOf(dir directory) (place, error) { return statx(dir, unix.STATX_MNT_ID_UNIQUE) }

// statx asks for the mount's number of one kind. A kernel older than 6.8 has one kind only,
// and tells that.
func statx(dir directory, kind int) (place, error) {
	var stat unix.Statx_t
	err := dir.do("statx", ".", func() error { return unix.Statx(int(dir), "", unix.AT_EMPTY_PATH, kind, &stat) })
	if err != nil {
		return place{}, err
	}
	if stat.Mask&(unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE) == 0 || stat.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return place{}, errors.New("this kernel does not tell a mount point; 5.8 or later does")
	}
	return place{stat.Mnt_id, stat.Mask&unix.STATX_MNT_ID_UNIQUE != 0, stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0}, nil
}

// info describes the mount that dir is on. The kernel tells of one mount alone since
// statmount(2) knows a mount's source. Otherwise the list of all mounts has to be read,
// which grows with the node's pods.
func (p place) info(dir directory) (Info, error) {
	if p.unique {
		if info, told := statmount(p.id); told {
			return info, nil
		}
	}
	listed, err := statx(dir, unix.STATX_MNT_ID)
	if err != nil {
		return Info{}, err
	}
	infos, err := readMountinfo(func(info Info) bool { return info.ID == listed.id })
	if err != nil {
		return Info{}, err
	}
	if len(infos) != 1 {
		return Info{}, ErrForeign
	}
	return infos[0], nil
}

// What statmount(2) is asked for, by the bits of linux/mount.h, and where it puts that: the
// position of a field, and what the strings' positions count from.
const (
	askBasic, askRoot, askType, askSource = 0x2, 0x8, 0x20, 0x200
	askedFor                              = askBasic | askRoot | askType | askSource

	atMask, atType, atID, atPropagation, atRoot, atSource, atStrings = 8, 36, 56, 72, 104, 124, 512
)

// statmount describes a mount, but for its target; not told if the kernel cannot, or may
// not.
func statmount(id uint64) (info Info, told bool) {
	const size = 24
	request := struct {
		size, _   uint32
		id, param uint64
	}{size: size, id: id, param: askedFor}
	var answer [1 << 10]byte
	_, _, failed := unix.Syscall6(unix.SYS_STATMOUNT,
		uintptr(unsafe.Pointer(&request)), uintptr(unsafe.Pointer(&answer)), uintptr(len(answer)), 0, 0, 0) //nolint:gosec // x/sys has no wrapper
	if failed != 0 || binary.NativeEndian.Uint64(answer[atMask:])&askedFor != askedFor {
		return Info{}, false
	}
	text := func(at int) string {
		begin := atStrings + binary.NativeEndian.Uint32(answer[at:])
		if begin >= uint32(len(answer)) {
			return ""
		}
		value, _, _ := bytes.Cut(answer[begin:], []byte{0})
		return string(value)
	}
	return Info{
		ID: uint64(binary.NativeEndian.Uint32(answer[atID:])), Root: text(atRoot), Type: text(atType), Source: text(atSource),
		Shared: binary.NativeEndian.Uint64(answer[atPropagation:])&unix.MS_SHARED != 0,
	}, true
}
