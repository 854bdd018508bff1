// Package deliver brings entries from a provider into volumes. There is one path, by which a
// new volume is made and a live one is kept fresh:
//
//  1. fetch the entries that volumes ask for, in one call for those that are alike in source,
//     identity and request, where the provider can; otherwise each goes on as soon as its own
//     call is answered (fetch.go, ask.go);
//  2. run the policy over each volume's entries, and resolve what it leaves references of
//     (resolve.go);
//  3. render them (render);
//  4. decide by their states what the volume is to hold, or that it cannot be made (content.go);
//  5. place that: the tmpfs if there is none yet, and one swap if anything differs (place.go);
//  6. report how that went (report.go).
//
// A volume whose delivery fails keeps its files, but for those that were taken away (salvage.go).
// Publish does this for new volumes, and Run for live ones, whatever calls for it: a change, a
// poll, a failure, or a republish that asks for something else.
//
// It keeps no state but what the kernel and kubelet know: after a restart, kubelet's
// republish brings every volume back.
package deliver

import (
	"context"
	"time"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/deliver/render"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/policy"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/turn"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Config is what a Deliverer is made of.
type Config struct {
	// Providers by the name that a volume's "source" attribute gives.
	Providers map[string]provider.Provider
	// Resolver fetches what references point at. Nil refuses every reference.
	Resolver provider.Resolver
	// Budget is the memory of the node's driver; nil for as much as there is.
	Budget *budget.Budget
	// Charged is what the kernel charges for pages of tmpfs, all volumes' and what they leave
	// behind; false while it does not tell. It may be nil.
	Charged func() (bytes int64, found bool)
	// VolumeSize caps each volume's tmpfs, in bytes.
	VolumeSize int64
	// FetchTimeout bounds one fetch.
	FetchTimeout time.Duration
	// PollEvery is how often a volume without a refresh of its own is fetched again
	// where the provider does not tell of changes.
	PollEvery time.Duration
	// MinRefresh is how often a volume is fetched again at most where nothing calls for it, for
	// each hundred ids that it has, or a part of them.
	MinRefresh time.Duration
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
	guard   guard
	set     *set
	fetcher fetcher
	decider decider
	// render is render.Render.
	render func(render.Format, []entry.Entry, map[string]string)
	// filling are the turns of volumes to be filled.
	filling *turn.Queue
	// awaiting are the publishes that wait for a source.
	awaiting *turn.Queue
	targets  targets
	mounter  mount.Mounter
	// said are the notices that were passed on.
	said report.Said
	wake chan struct{}
}

// New returns a Deliverer that has no volumes yet.
func New(config Config) *Deliverer {
	config.Readers = report.Complete(config.Readers)
	if config.Budget == nil {
		config.Budget = budget.New(0, nil)
	}
	config.VolumeSize = config.Budget.VolumeSize(config.VolumeSize)
	d := &Deliverer{
		Config:   config,
		set:      newSet(config),
		render:   render.Render,
		filling:  turn.New(volumesAtOnce, 0),
		awaiting: turn.New(awaitingAtOnce, awaitingShare),
		targets:  targets{held: map[string]*target{}},
		wake:     make(chan struct{}, 1),
	}
	d.guard = guard{&d.Config}
	d.fetcher = newFetcher(&d.Config, d.set)
	d.decider = decider{Config: &d.Config, guard: d.guard, apply: policy.Apply, versions: provider.NewVersions()}
	d.recallAll()
	return d
}

// recallAll has the budget reckon with the volumes that are there: of an earlier process, or of
// another driver's pod, whose pages become this one's with each rotation.
func (d *Deliverer) recallAll() {
	mounted, err := mount.List()
	if err != nil {
		d.Log.Warn("cannot tell what the volumes of this node hold", logkey.Error, err)
	}
	for _, info := range mounted {
		if usage, err := mount.Stats(info.Target); err == nil {
			d.Budget.Recall(info.Target, usage.Memory())
		}
	}
	d.measure()
}

// measureEvery is how soon the budget learns that somebody let go of what a volume has left behind.
const measureEvery = 5 * time.Second

func (d *Deliverer) measure() {
	if d.Charged != nil {
		_ = d.guard.run(Volume{}, func() error { d.Budget.Measure(d.Charged); return nil }) // it is logged
	}
}

// measureLeft goes on until ctx ends.
func (d *Deliverer) measureLeft(ctx context.Context) {
	for d.Charged != nil && pause.Wait(ctx, measureEvery) {
		d.measure()
	}
}
