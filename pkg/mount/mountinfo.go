//go:build linux

package mount

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// maxMountinfoLine is far above what four paths of PATH_MAX can take in octal.
const maxMountinfoLine = 128 << 10

// Info is one mount, as /proc/self/mountinfo has it.
type Info struct {
	// ID is the mount's number, unique while it lasts.
	ID uint64
	// Root is the path within the file system that is mounted; "/" but for bind mounts.
	Root string
	// Target is the path it is mounted at.
	Target string
	// Type is the file system's type.
	Type string
	// Source is the file system's device name.
	Source string
	// Shared is set where mounts made below reach other namespaces.
	Shared bool
}

// isVolume leaves out what kubelet binds out of a volume for a subPath: that has the
// same type and source, and another root.
func (i Info) isVolume() bool {
	return i.Type == "tmpfs" && i.Source == Source && i.Root == "/"
}

// List returns every volume of ours that is mounted in this mount namespace.
func List() ([]Info, error) {
	return readMountinfo(Info.isVolume)
}

func readMountinfo(want func(Info) bool) ([]Info, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	defer file.Close()
	return parseMountinfo(file, want)
}

func parseMountinfo(r io.Reader, want func(Info) bool) ([]Info, error) {
	var infos []Info
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxMountinfoLine)
	for lines.Scan() {
		info, err := parseMount(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("listing mounts: %w", err)
		}
		if want(info) {
			infos = append(infos, info)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	return infos, nil
}

// parseMount reads one line as proc(5) describes it:
//
//	36 35 98:0 /root /target rw,noatime master:1 - ext4 /dev/root rw,errors=continue
//	id parent device root target options [optional ...] - type source superoptions
func parseMount(line string) (Info, error) {
	mount, filesystem, found := strings.Cut(line, " - ")
	before, after := strings.Split(mount, " "), strings.Split(filesystem, " ")
	if !found || len(before) < 6 || len(after) < 3 {
		return Info{}, errors.New("a line of mountinfo has too few fields")
	}
	id, err := strconv.ParseUint(before[0], 10, 64)
	if err != nil {
		return Info{}, errors.New("a line of mountinfo begins with no number")
	}
	return Info{
		ID:     id,
		Root:   unescape(before[3]),
		Target: unescape(before[4]),
		Type:   unescape(after[0]),
		Source: unescape(after[1]),
		Shared: slices.ContainsFunc(before[6:], func(optional string) bool { return strings.HasPrefix(optional, "shared:") }),
	}, nil
}

// unescape undoes the kernel's octal escapes, which stand for blanks and backslashes.
func unescape(field string) string {
	if !strings.Contains(field, `\`) {
		return field
	}
	var plain strings.Builder
	for i := 0; i < len(field); i++ {
		if field[i] == '\\' && i+4 <= len(field) {
			if code, err := strconv.ParseUint(field[i+1:i+4], 8, 8); err == nil {
				plain.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		plain.WriteByte(field[i])
	}
	return plain.String()
}
