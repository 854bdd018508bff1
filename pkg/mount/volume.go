package mount

import (
	"errors"
	"io/fs"
	"slices"
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
// but the one named keep; and of a guest's what stands in the place of a link of its own. It returns what is there.
func (v volume) sweep(keep string) (kept []member, err error) {
	members, err := v.members()
	if err != nil {
		return nil, err
	}
	for _, one := range members {
		if one.name == keep || v.isInPlace(one.name) {
			kept = append(kept, one)
			continue
		}
		if err := v.discard(one); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// isInPlace tells what is no leftover.
func (v volume) isInPlace(name string) bool {
	isShown := name == layout.ManifestFile || name == layout.IdentityDir || slices.Contains(layout.ValueDirs(), name)
	switch {
	case v.isGuest && name == layout.DataLink:
		_, err := v.readlink(name)
		return err == nil
	case v.isGuest && isShown:
		to, err := v.readlink(name)
		return err == nil && to == layout.DataLink+"/"+name
	default:
		return name == layout.DataLink || !strings.HasPrefix(name, "..")
	}
}

// discard deletes a member. Of a guest's another user may have made it, and let nobody else delete what is in it:
// then it is given the name of a generation, which nothing reads and each sweep tries to delete.
func (v volume) discard(one member) error {
	err := v.removeMember(one)
	switch {
	case !v.isKept(err):
		return err
	case isGeneration(one.name):
		return nil
	default:
		return v.rename(one.name, newGeneration())
	}
}

// isKept tells that another user keeps a guest from something.
func (v volume) isKept(err error) bool { return v.isGuest && errors.Is(err, fs.ErrPermission) }
