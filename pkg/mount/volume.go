package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// volume is the root of a mounted tmpfs, held open: all that is done to it is done through
// the descriptor, whatever becomes of the path.
type volume struct{ directory }

// openVolume opens the volume at target. A directory on which nothing is mounted is
// refused, so that no value is ever written to the disk beneath.
func openVolume(target string) (volume, error) {
	dir, err := openTarget(target)
	if errors.Is(err, fs.ErrNotExist) {
		return volume{}, fmt.Errorf("opening %s: %w", target, ErrNotMounted)
	}
	if err != nil {
		return volume{}, err
	}
	defer dir.close()
	root, err := openRoot(dir)
	if err != nil {
		return volume{}, fmt.Errorf("opening %s: %w", target, err)
	}
	return volume{root}, nil
}

func openRoot(dir directory) (directory, error) {
	at, err := mountOf(dir)
	if err != nil {
		return closed, err
	}
	if !at.isRoot {
		return closed, ErrNotMounted
	}
	if _, err := usageOf(dir); err != nil {
		return closed, err
	}
	return dir.enter(".")
}

// empty deletes every value, the data link first, so that what remains for a moment does
// not pass for complete.
func (v volume) empty() error {
	if err := v.remove(layout.DataLink); err != nil {
		return err
	}
	return v.clearFiles()
}

// sweep deletes what a killed writer left: the temporary link and every generation
// but the one named keep. It returns what was there.
func (v volume) sweep(keep string) ([]member, error) {
	members, err := v.members()
	if err != nil {
		return nil, err
	}
	for _, one := range members {
		if !strings.HasPrefix(one.name, "..") || one.name == layout.DataLink || one.name == keep {
			continue
		}
		if err := v.removeMember(one); err != nil {
			return nil, err
		}
	}
	return members, nil
}
