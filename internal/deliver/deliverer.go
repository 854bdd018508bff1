// Package deliver brings entries from a provider into volumes. There is one path:
// the first mount, kubelet's republish and a rotation all run the same deliver.
//
//	Publish ─┐
//	         ├─▶ deliver ─▶ fetch ─▶ policy ─▶ render ─▶ content ─▶ place (tmpfs, one swap)
//	Run ─────┘
//
// It keeps no state but what the kernel and kubelet know: after a restart, kubelet's
// republish brings every volume back.
package deliver

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/leoflow/secrets-csi/internal/deliver/render"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/policy"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Config is what a Deliverer is made of.
type Config struct {
	// Providers by the name that a volume's "source" attribute gives.
	Providers map[string]provider.Provider
	// Resolver fetches what references point at. Nil refuses every reference.
	Resolver provider.Resolver
	// VolumeSize caps each volume's tmpfs, in bytes.
	VolumeSize int64
	// FetchTimeout bounds one fetch.
	FetchTimeout time.Duration
	// PollEvery is how often a volume without a refresh of its own is fetched again
	// where the provider does not tell of changes.
	PollEvery time.Duration
	// OfflineGrace is how long what a pod was given may be given to a new pod of the same
	// namespace, service account and request while the provider cannot be asked. Zero is
	// never, and nothing is then kept in memory.
	OfflineGrace time.Duration
	// Readers are told what happens.
	report.Readers
}

// Deliverer publishes volumes and keeps them fresh. Make it with New.
type Deliverer struct {
	Config
	mounter mount.Mounter
	set     set
	targets targets
	wake    chan struct{}
	// versions are of what references point at.
	versions provider.Versions
	memory   memory
	// said are the notices that were passed on.
	said report.Said
	// apply is policy.Apply, render render.Render.
	apply  func(*entry.Entry)
	render func(render.Format, []entry.Entry, map[string]string)
	// filling has a place for each volume that may be filled at once.
	filling chan struct{}
	// fetching has, by provider, a place for each fetch of a rotation that may be under way.
	fetching map[string]chan struct{}
}

// New returns a Deliverer that has no volumes yet.
func New(config Config) *Deliverer {
	config.Readers = report.Complete(config.Readers)
	fetching := map[string]chan struct{}{}
	for name := range config.Providers {
		fetching[name] = make(chan struct{}, rotationWorkers)
	}
	return &Deliverer{
		Config:   config,
		set:      newSet(config.PollEvery),
		targets:  targets{held: map[string]*target{}},
		memory:   newMemory(config.OfflineGrace),
		wake:     make(chan struct{}, 1),
		versions: provider.NewVersions(),
		apply:    policy.Apply,
		render:   render.Render,
		filling:  make(chan struct{}, volumesAtOnce),
		fetching: fetching,
	}
}

// publishing is the cause of deliveries that a pod waits for, rotating of all others.
const (
	publishing = "publish"
	rotating   = "rotation"
)

// Publish makes the volume hold what it asks for. It is a level trigger: called again
// for a live volume that asks for the same it takes in the fresher token, has Run look
// where there is reason to, and returns nil. The pods that wait for their files go first.
//
// Errors are *Error, and leave what the volume shows as it was.
func (d *Deliverer) Publish(ctx context.Context, spec Volume) error {
	v, differs, err := d.adopt(spec)
	if err != nil {
		return err
	}
	switch live := d.isLive(v); {
	case live && !mayHold(spec.TargetPath):
		d.set.lose(v)
	case live && !differs:
		d.trigger()
		return nil
	}
	if tasks := d.set.beginAll(v); len(tasks) == 1 {
		err = d.deliver(ctx, publishing, tasks)[0]
	} else {
		err = d.deliverShares(ctx, tasks)
	}
	if err != nil {
		d.set.forgetUnlessLive(v)
	}
	return err
}

// adopt holds the target path, so that what it recalls is not being taken away.
func (d *Deliverer) adopt(spec Volume) (v *volume, differs bool, err error) {
	defer d.targets.lock(spec.TargetPath)()
	return d.set.adopt(spec, d.recall(spec))
}

// recall tells what a volume shows that this process does not know, from before a
// restart.
func (d *Deliverer) recall(spec Volume) report.Health {
	if d.set.find(spec.ID) != nil {
		return report.Health{}
	}
	shown, err := mount.Current(spec.TargetPath)
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
		d.logger(v.spec).Warn("unpublished under another id", logkey.Path, targetPath)
	}
	err := mount.Unmount(targetPath)
	switch {
	case errors.Is(err, mount.ErrNotEmpty), errors.Is(err, mount.ErrTarget):
		// Nothing of ours is there. An error would have kubelet ask for ever, and keep the
		// pod; what may become of the rest is for kubelet, which removes what is at the path.
		d.Log.Warn("left what is at the target path", logkey.VolumeID, volumeID, logkey.Path, targetPath, logkey.Error, err)
	case err != nil:
		return report.Failf(mountReason(err), err, "ending the volume: %v", err)
	}
	return nil
}

// Health tells how a live volume is; false if this process does not know it.
func (d *Deliverer) Health(volumeID string) (report.Health, bool) {
	v := d.set.find(volumeID)
	if v == nil {
		return report.Health{}, false
	}
	var health report.Health
	for i, share := range d.set.sharesOf(v) {
		spec, ofShare := d.set.look(share)
		if why := d.whyAway(spec); why != nil && ofShare.Problem == "" {
			ofShare.Problem = providerError(spec, why).Error()
		}
		if i == 0 {
			health = ofShare
			continue
		}
		health = health.And(ofShare)
	}
	if health.Problem != "" && health.Generation > 0 {
		health.Problem += "; the files were last confirmed " + health.Age() + " ago"
	}
	return health, true
}

// Holds tells whether a complete generation of the volume is at path, also if it was the
// process before this one that put it there.
func (d *Deliverer) Holds(volumeID, path string) bool {
	held, err := holds(path)
	return err == nil && held && d.set.mayBeAt(volumeID, path)
}

// mayHold is holds where a generation is known to have stood. If it cannot be told, for
// want of file descriptors say, it stands still.
func mayHold(path string) bool {
	held, err := holds(path)
	return held || err != nil
}

func holds(path string) (bool, error) {
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

// Usage is what a volume takes up.
type Usage = mount.Usage

// Stats measures the volume at path. The error's reason is Missing where no volume of
// ours is mounted.
func (*Deliverer) Stats(path string) (Usage, error) {
	usage, err := mount.Stats(path)
	if err != nil {
		return Usage{}, report.Failf(mountReason(err), err, "measuring the volume: %v", err)
	}
	return usage, nil
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

// logger carries who and what a line is about.
func (d *Deliverer) logger(spec Volume) *slog.Logger {
	return d.Log.With(subject(spec).LogAttrs()...)
}
