package deliver

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Tmpfs is the Place of volumes that each have a tmpfs of their own. The zero value is ready.
type Tmpfs struct{ mounter mount.Mounter }

var _ Place = (*Tmpfs)(nil)

// Targets implements Place.
func (*Tmpfs) Targets() (targets []string, err error) {
	mounted, err := mount.List()
	for _, info := range mounted {
		targets = append(targets, info.Target)
	}
	return targets, err
}

// HasFiles implements Place.
func (*Tmpfs) HasFiles(path string) (bool, error) {
	mounted, err := mount.IsMounted(path)
	if errors.Is(err, mount.ErrForeign) || errors.Is(err, mount.ErrTarget) {
		return false, nil
	}
	if err != nil || !mounted {
		return false, err
	}
	_, err = os.Lstat(filepath.Join(path, layout.DataLink))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Current implements Place.
func (*Tmpfs) Current(target string) (mount.Generation, error) { return mount.Current(target) }

// Stats implements Place.
func (*Tmpfs) Stats(target string) (Usage, error) { return mount.Stats(target) }

// Blank implements Place.
func (t *Tmpfs) Blank(target string, size int64) (Blank, error) {
	made, err := t.mounter.Blank(target, mount.Options{SizeBytes: size})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// Write implements Place.
func (*Tmpfs) Write(target string, content mount.Content) (mount.Outcome, error) {
	return mount.Write(target, content)
}

// Renew implements Place.
func (*Tmpfs) Renew(target string, tokens func(audience string) []byte, mode fs.FileMode, gid int) ([]string, error) {
	return mount.Renew(target, tokens, mode, gid)
}

// End implements Place.
func (*Tmpfs) End(target string) (left int64, err error) { return mount.End(target) }
