//go:build linux

package mount

import "fmt"

// IsShared tells whether what is mounted below the directory at path reaches the mount
// namespaces that share it.
func IsShared(path string) (bool, error) {
	dir, err := openPath(path, 0)
	if err != nil {
		return false, fmt.Errorf("opening %s: %w", path, err)
	}
	defer dir.close()
	at, err := mountOf(dir)
	if err != nil {
		return false, fmt.Errorf("looking at %s: %w", path, err)
	}
	info, err := at.info(dir)
	if err != nil {
		return false, fmt.Errorf("looking at %s: %w", path, err)
	}
	return info.Shared, nil
}
