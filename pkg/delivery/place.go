package delivery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// placement is what stands in a volume after a good delivery.
type placement struct {
	generation uint64
	// confirmed is when the provider said that it is right.
	confirmed time.Time
	// changed is false when the same content stood there already.
	changed bool
	// offline is set where the content was remembered.
	offline bool
	// lines are those of the manifest, withdrawn those that this delivery took away.
	lines, withdrawn []layout.Entry
}

// held are the entries that stand as they were, because they cannot be had now.
func (p placement) held() []layout.Entry {
	return slices.DeleteFunc(slices.Clone(p.lines), func(entry layout.Entry) bool { return entry.Held == nil })
}

// place makes the volume hold the content. What this call created it undoes on
// failure, and nothing else.
func (d *Deliverer) place(t task, cause string, c content, from answer) (placement, error) {
	defer d.targets.lock(t.spec.TargetPath)()
	if d.set.isGone(t.volume) {
		return placement{}, failf(Busy, nil, "volume %s was unpublished meanwhile", t.spec.ID)
	}
	if t.begun.Number < t.placed {
		_, health := d.set.look(t.volume)
		return placement{generation: health.Generation, confirmed: health.Confirmed, offline: health.Offline}, nil
	}
	target := t.spec.TargetPath
	created, err := d.mount(target, cause == publishing)
	if err != nil {
		return placement{}, failf(placeReason(err), err, "making the volume: %v", err)
	}
	written, err := mount.Write(target, mount.Content{
		Entries: c.entries, Rest: c.rest,
		Manifest: layout.Manifest{
			Fetched: from.fetched.UTC(), StaleAfter: int64(d.staleAfter(t.spec) / time.Second),
			Offline: from.offline != nil,
		},
		Cap:  d.VolumeSize,
		Mode: fs.FileMode(t.spec.Mode),
		GID:  int(t.spec.Group),
	})
	if err != nil {
		if created {
			err = errors.Join(err, mount.Unmount(target))
		}
		return placement{}, failf(placeReason(err), err, "filling the volume: %v", err)
	}
	t.placed = t.begun.Number
	confirmed := from.fetched
	if c.rest {
		_, health := d.set.look(t.volume)
		confirmed = health.Confirmed
	}
	return placement{written.Generation, confirmed, written.Changed, from.offline != nil, written.Entries, written.Withdrawn}, nil
}

// mount gives the target its tmpfs, unless a generation is there. To tell whose tmpfs
// that is takes reading the list of all mounts, which is not for each volume of each
// rotation; nobody else's has a generation, and Write refuses a target without a tmpfs.
//
// A rotation mounts nothing: who took the mount away may be done with the path, and
// values would stand there that nobody unpublishes.
func (d *Deliverer) mount(target string, publishing bool) (created bool, err error) {
	_, err = os.Lstat(filepath.Join(target, layout.DataLink))
	switch {
	case err == nil:
		return false, nil
	case !publishing:
		return false, fmt.Errorf("%w: the next publish brings it back", mount.ErrNotMounted)
	}
	return d.mounter.Mount(target, mount.Options{SizeBytes: d.VolumeSize})
}

// placeReason is mountReason where it is an entry that Missing would speak of.
func placeReason(err error) Reason {
	if errors.Is(err, mount.ErrNotMounted) {
		return Internal
	}
	return mountReason(err)
}
