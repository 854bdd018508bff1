package deliver

import (
	"context"
	"errors"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/mount"
)

// Publish makes the volume hold what it asks for. It is a level trigger: called again
// for a live volume it takes in what is newer, the token mostly, has Run look where there is
// reason to, and returns nil. The pods that wait for their files go first.
//
// Errors are *Error, and leave what the volume shows as it was.
func (d *Deliverer) Publish(ctx context.Context, spec Volume) error {
	v, err := d.adopt(spec)
	if err != nil {
		return err
	}
	defer d.set.leave(v)
	switch {
	case !d.set.isLive(v):
		err = d.deliverAwaiting(ctx, v, spec.Pod.Namespace)
	case !d.hasLostFiles(spec.TargetPath):
		_ = d.guard.Run(subject(spec), func() error { d.renew(spec); return nil }) // it is logged
		d.trigger()
		return nil
	default: // a pod runs, and kubelet's republish does not wait
		d.set.lose(v)
		err = d.deliverNew(ctx, d.set.begin(v))
	}
	return err
}

// Refresh is Publish for who waits until the volume is as it is asked for now, though it shows files already,
// and keeps nothing fresh afterwards.
func (d *Deliverer) Refresh(ctx context.Context, spec Volume) error {
	v, err := d.adopt(spec)
	if err != nil {
		return err
	}
	defer d.set.leave(v)
	if !d.set.isLive(v) {
		return d.Publish(ctx, spec)
	}
	for _, t := range d.set.begin(v) {
		if failure := d.deliver(ctx, []task{t}); failure != nil {
			err = failure
		}
	}
	if health, _ := d.Health(spec.ID); err == nil && health.Problem != "" {
		err = report.Failf(report.Invalid, nil, "%s", health.Problem)
	}
	return err
}

// adopt holds the target path, so that what it recalls is not being taken away.
func (d *Deliverer) adopt(spec Volume) (*volume, error) {
	defer d.targets.lock(spec.TargetPath)()
	d.Budget.Claim(spec.TargetPath, spec.Pod.Namespace)
	return d.set.adopt(spec, d.recall(spec))
}

// recall tells what a volume shows that this process does not know, from before a
// restart.
func (d *Deliverer) recall(spec Volume) report.Health {
	if d.set.find(spec.ID) != nil {
		return report.Health{}
	}
	shown, err := d.Place.Current(spec.TargetPath)
	if err != nil {
		return report.Health{}
	}
	return report.Health{Generation: shown.Manifest.Generation, Confirmed: shown.Confirmed, Offline: shown.Manifest.Offline}
}

// Unpublish takes away what is published at the target path, whichever volume that is:
// its files, its mount and its directory. It is idempotent, and needs no more than the
// path for a volume that this process has never seen.
func (d *Deliverer) Unpublish(_ context.Context, volumeID, targetPath string) error {
	defer d.targets.lock(targetPath)()
	if v := d.set.remove(targetPath); v != nil && v.spec.ID != volumeID {
		d.Log.With(subject(v.spec).LogAttrs()...).Warn("unpublished under another id", logkey.Path, targetPath)
	}
	left, err := d.Place.End(targetPath)
	switch {
	case errors.Is(err, mount.ErrNotEmpty), errors.Is(err, mount.ErrTarget):
		// Nothing of ours is there. An error would have kubelet ask for ever, and keep the
		// pod; what may become of the rest is for kubelet, which removes what is at the path.
		d.Log.Warn("left what is at the target path", logkey.VolumeID, volumeID, logkey.Path, targetPath, logkey.Error, err)
	case err != nil:
		return report.Failf(mountReason(err), err, "ending the volume: %v", err)
	}
	d.Budget.End(targetPath, left)
	return nil
}

// IsPublished tells whether a complete generation of the volume is at path, also if it was the
// process before this one that put it there.
func (d *Deliverer) IsPublished(volumeID, path string) bool {
	has, err := d.Place.HasFiles(path)
	return err == nil && has && d.set.isAt(volumeID, path)
}

// hasLostFiles reports whether the files that a volume is known to have had are gone. If it cannot
// be told, for want of file descriptors say, they stand still.
func (d *Deliverer) hasLostFiles(path string) bool {
	has, err := d.Place.HasFiles(path)
	return !has && err == nil
}

func mountReason(err error) report.Reason {
	switch {
	case errors.Is(err, mount.ErrTarget), errors.Is(err, mount.ErrForeign), errors.Is(err, mount.ErrNotEmpty):
		return report.BadTarget
	case errors.Is(err, mount.ErrNotMounted):
		return report.Missing
	case errors.Is(err, mount.ErrFull):
		return report.NoSpace
	default:
		return report.Internal
	}
}
