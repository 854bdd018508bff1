package deliver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// placement is what stands in a volume after a good delivery.
type placement struct {
	mount.Outcome
	// confirmed is when the provider said that it is right.
	confirmed time.Time
	// offline is set where the content was remembered.
	offline bool
	// superseded is set where a delivery that began later was placed before.
	superseded bool
}

// place makes the volume hold the content, which is that of all tasks: of one, or of all shares
// of a new volume.
func (d *Deliverer) place(tasks []task, c content, from answer) (placement, error) {
	t := tasks[0]
	defer d.targets.lock(t.spec.TargetPath)()
	health, gone, ofAll := d.set.known(t, from.Fetched)
	switch {
	case gone:
		return placement{}, report.Failf(report.Busy, nil, "volume %s was unpublished meanwhile", t.spec.ID)
	case t.begun.Number < t.placed:
		return placement{Outcome: mount.Outcome{Generation: health.Generation}, superseded: true}, nil
	}
	confirmed, offline := from.Fetched, from.Offline != nil
	var carry func(layout.Name) bool
	if c.rest {
		confirmed, offline = health.Confirmed, health.Offline
	} else if len(tasks) == 1 {
		carry = t.ofOthers()
	}
	held := d.Budget.Holds(t.spec.TargetPath)
	defer func() { d.Budget.Hold(t.spec.TargetPath, held) }() // though it ends in a panic
	written, err := write(t, mount.Content{
		Entries: c.entries, Identities: d.shownIdentities(t, c.identities), Rest: c.rest, Carry: carry,
		Manifest: layout.Manifest{
			Fetched: ofAll.UTC(), StaleAfter: int64(d.set.staleAfter(t.spec) / time.Second),
			Offline: offline,
		},
		Cap: d.VolumeSize,
		Room: func(need, now int64) (int64, error) {
			return d.Budget.Take(t.spec.TargetPath, t.spec.Pod.Namespace, need, now, !t.live)
		},
		Mode: t.spec.fileMode(),
		GID:  int(t.spec.Group),
	})
	if written.Memory > 0 || errors.Is(err, mount.ErrNotMounted) {
		held = written.Memory
	}
	if err != nil {
		return placement{}, err
	}
	for _, t := range tasks {
		t.placed = max(t.placed, t.begun.Number)
	}
	return placement{Outcome: written, confirmed: confirmed, offline: offline}, nil
}

// write makes the volume show the content. A new one is filled before it is mounted, so that
// whoever finds it finds it whole, and a failure leaves nothing.
//
// A rotation mounts nothing: who took the mount away may be done with the path, and values
// would stand there that nobody unpublishes. Whether the mount is there it takes from the
// files: to tell whose mount that is may take reading the list of all mounts, which is not
// for each volume of each rotation; nobody else's has a generation, and Write refuses a
// target without a tmpfs.
func write(t task, content mount.Content) (mount.Outcome, error) {
	target := t.spec.TargetPath
	if t.blank != nil {
		if made, mounted, err := t.blank.mount(target, content); err != nil || mounted {
			return made, err
		}
	} else if _, err := os.Lstat(filepath.Join(target, layout.DataLink)); err != nil {
		return mount.Outcome{}, failAt(target, "making the volume", fmt.Errorf("%w: the next publish brings it back", mount.ErrNotMounted))
	}
	made, err := t.of.place.Write(target, content)
	if err != nil {
		return mount.Outcome{}, failAt(target, "filling the volume", err)
	}
	return made, nil
}

// failAt is a failure of mount's. Where on the node a volume is stays out of the message,
// which the pod's author reads, and in Full, which the log has.
func failAt(target, doing string, err error) *report.Error {
	if exhausted := (*budget.Exhausted)(nil); errors.As(err, &exhausted) {
		return report.Failf(report.NoMemory, err, "%v", exhausted)
	}
	failure := report.Failf(placeReason(err), err, "%s: %v", doing, err)
	without := strings.NewReplacer(target, "the target path", filepath.Dir(target)+"/", "").Replace(failure.Message)
	if without != failure.Message {
		failure.Message, failure.Full = without, failure.Message
	}
	return failure
}

// placeReason is mountReason where it is an entry that Missing would speak of.
func placeReason(err error) report.Reason {
	if errors.Is(err, mount.ErrNotMounted) {
		return report.Internal
	}
	return mountReason(err)
}
