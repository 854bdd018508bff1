// Package cgroup tells how much memory the kernel lets this process have.
package cgroup

import (
	"bufio"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// unlimited is more than any machine has: version 1 writes a number close to 2⁶³ where
// there is no limit.
const unlimited = 1 << 60

// Memory is the control group by whose limit this process, and all else that is charged there, is
// killed: of several that have it the outermost, where a pod's earlier containers are charged too.
// Of a pod of several containers that is the pod's, whose limit is larger.
type Memory struct {
	// Limit is the smallest of those that this process is in, in bytes, by version 2 or 1.
	Limit int64
	// stat is the path of the figures of the group, or of its pod's.
	stat string
	root fs.FS
}

// MemoryOf finds it; false where there is no limit. root is the file system from "/".
func MemoryOf(root fs.FS) (m Memory, found bool) {
	m = Memory{Limit: unlimited, root: root}
	for _, group := range groups(root) {
		for directory := group.path; ; directory = path.Dir(directory) {
			at := path.Join(group.mount, directory)
			if here, ok := readLimit(root, path.Join(at, group.file)); ok && here <= m.Limit {
				m.Limit, m.stat = here, path.Join(statOf(at), "memory.stat")
			}
			if directory == "/" || directory == "." {
				break
			}
		}
	}
	return m, m.Limit < unlimited
}

// ofPod is how kubelet calls a pod's group, as cgroupfs and as systemd write it.
var ofPod = regexp.MustCompile(`(^|-)pod[0-9a-f]{8}[-_][0-9a-f_-]+(\.slice)?$`)

// statOf is the group in which what a container leaves behind is charged: its pod's, if it is in one.
func statOf(container string) string {
	if pod := path.Dir(container); ofPod.MatchString(path.Base(pod)) {
		return pod
	}
	return container
}

// Shared is what the group is charged for pages of tmpfs, in bytes, in all groups below it too:
// whoever wrote them, and whether or not a process is left that did. False where that is not told.
func (m Memory) Shared() (bytes int64, found bool) {
	file, err := m.root.Open(m.stat)
	if err != nil {
		return 0, false
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, number, _ := strings.Cut(lines.Text(), " ")
		if name != "shmem" && name != "total_shmem" { // the latter is version 1's, of all groups below
			continue
		}
		if bytes, err = strconv.ParseInt(number, 10, 64); err != nil {
			return 0, false
		}
		found = true
	}
	return bytes, found
}

// group is one of the process's places in the control groups. Within a container the
// directory may not be there, since the container sees its own group as the root of all;
// the root is looked at as well.
type group struct{ mount, path, file string }

// groups reads lines such as "0::/a/b" (version 2) and "9:memory:/a/b" (version 1).
func groups(root fs.FS) []group {
	file, err := root.Open("proc/self/cgroup")
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	var found []group
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), ":", 3)
		if len(fields) < 3 {
			continue
		}
		directory := path.Clean("/" + fields[2])
		switch {
		case fields[0] == "0" && fields[1] == "":
			found = append(found, group{"sys/fs/cgroup", directory, "memory.max"})
		case hasController(fields[1], "memory"):
			found = append(found, group{"sys/fs/cgroup/memory", directory, "memory.limit_in_bytes"})
		}
	}
	return found
}

func hasController(list, name string) bool {
	for controller := range strings.SplitSeq(list, ",") {
		if controller == name {
			return true
		}
	}
	return false
}

func readLimit(root fs.FS, name string) (int64, bool) {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64) // "max" is none
	return limit, err == nil && limit > 0 && limit < unlimited
}
