package mount

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// IsShared tells whether what is mounted below the directory at path reaches the mount
// namespaces that share it.
func IsShared(path string) (bool, error) {
	dir, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return false, fmt.Errorf("opening %s: %w", path, err)
	}
	defer dir.Close()
	id, _, err := mountOf(dir)
	if err != nil {
		return false, fmt.Errorf("looking at %s: %w", path, err)
	}
	infos, err := readMountinfo(func(info Info) bool { return info.ID == id })
	if err != nil {
		return false, err
	}
	return len(infos) == 1 && infos[0].Shared, nil
}
