// Package deliver brings entries from sources into volumes. There is one path, by which a
// new volume is made and a live one is kept fresh:
//
//  1. have the entries fetched that volumes ask for, and rendered, by the other half of the daemon
//     (package seam): in one call for those that are alike in source, identity and request, where
//     the source can; otherwise each goes on as soon as its own call is answered (call.go, ask.go);
//  2. decide by their states what the volume is to hold, or that it cannot be made (content.go);
//  3. place that: the tmpfs if there is none yet, and one swap if anything differs (place.go);
//  4. report how that went (report.go).
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
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/turn"
)

// Config is what a Deliverer is made of.
type Config struct {
	// Fetcher is the half that asks.
	Fetcher seam.Fetcher
	// Budget is the memory of the node's driver; nil for as much as there is.
	Budget *budget.Budget
	// Charged is what the kernel charges for pages of tmpfs, all volumes' and what they leave
	// behind; false while it does not tell. It may be nil.
	Charged func() (bytes int64, found bool)
	// Place is where the volumes stand; nil for a tmpfs each, mounted at their target paths.
	Place Place
	// VolumeSize caps each volume's tmpfs, in bytes.
	VolumeSize int64
	// PollEvery is how often a volume without a refresh of its own is fetched again
	// where the provider does not tell of changes.
	PollEvery time.Duration
	// MinRefresh is how often a volume is fetched again at most where nothing calls for it, for
	// each hundred ids that it has, or a part of them.
	MinRefresh time.Duration
	// Readers are told what happens.
	report.Readers
}

// Deliverer publishes volumes and keeps them fresh. Make it with New.
type Deliverer struct {
	Config
	guard  report.Guard
	set    *set
	caller *caller
	// filling are the turns of volumes to be filled.
	filling *turn.Queue
	// awaiting are the publishes that wait for a source.
	awaiting *turn.Queue
	targets  targets
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
	if config.Place == nil {
		config.Place = &Tmpfs{}
	}
	config.VolumeSize = config.Budget.VolumeSize(config.VolumeSize)
	d := &Deliverer{
		Config:   config,
		filling:  turn.New(volumesAtOnce, 0),
		awaiting: turn.New(awaitingAtOnce, awaitingShare),
		targets:  targets{held: map[string]*target{}},
		wake:     make(chan struct{}, 1),
	}
	d.guard = report.Guard{Readers: &d.Readers}
	d.set = newSet(&d.Config)
	d.caller = newCaller(&d.Config, d.guard, d.set)
	d.recallAll()
	return d
}

// recallAll has the budget reckon with the volumes that are there: of an earlier process, or of
// another driver's pod, whose pages become this one's with each rotation.
func (d *Deliverer) recallAll() {
	targets, err := d.Place.Targets()
	if err != nil {
		d.Log.Warn("cannot tell what the volumes of this node hold", logkey.Error, err)
	}
	for _, target := range targets {
		if usage, err := d.Place.Stats(target); err == nil {
			d.Budget.Recall(target, usage.Memory())
		}
	}
	d.measure()
}

// measureEvery is how soon the budget learns that somebody let go of what a volume has left behind.
const measureEvery = 5 * time.Second

func (d *Deliverer) measure() {
	if d.Charged != nil {
		_ = d.guard.Run(report.Volume{}, func() error { d.Budget.Measure(d.Charged); return nil }) // it is logged
	}
}

// measureLeft goes on until ctx ends.
func (d *Deliverer) measureLeft(ctx context.Context) {
	for d.Charged != nil && pause.Wait(ctx, measureEvery) {
		d.measure()
	}
}
