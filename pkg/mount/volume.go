package mount

import (
	"strings"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// volume is the root of a volume, held open: all that is done to it is done through the
// descriptor, whatever becomes of the path.
type volume struct {
	directory
	// isGuest is set where the file system is somebody else's; see Folder.
	isGuest bool
}

// usage is what the volume takes, and what there is for it.
func (v volume) usage() (Usage, error) {
	if v.isGuest {
		return v.guestUsage()
	}
	return usageOf(v.directory)
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
