package daemon

import (
	"bufio"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Settle is for a program that has begun, and waits from now on: it gives back the garbage of its start, and lets go of
// the pages of its own file that the start has read, most of which nothing reads again. They stay in the page cache for
// as long as the machine has room, and are mapped anew where they are read. Where the kernel does not do that, they stay.
// So do mappings with pages that are no longer the file's: those of a position-independent program that its start
// relocated, and has nowhere else.
func Settle() {
	debug.FreeOSMemory()
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer func() { _ = maps.Close() }()
	var region string
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 3 && fields[0] == "Anonymous:":
			if fields[1] == "0" {
				letGo(region)
			}
			region = ""
		case len(fields) == 6 && fields[5] == self && !strings.Contains(fields[1], "w"):
			region = fields[0]
		}
	}
}

// letGo has the kernel unmap the pages of a region, FROM-TO as the kernel writes it; empty for none.
func letGo(region string) {
	from, to, _ := strings.Cut(region, "-")
	start, err := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err == nil && err2 == nil {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
	}
}
