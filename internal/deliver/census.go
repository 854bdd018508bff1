package deliver

import (
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/mount"
)

// Census is the state of every volume that shows files.
func (d *Deliverer) Census() []report.State {
	d.set.mu.Lock()
	defer d.set.mu.Unlock()
	now := time.Now()
	states := make([]report.State, 0, len(d.set.live))
	for _, v := range d.set.shares {
		if v.health.Generation == 0 {
			continue
		}
		states = append(states, report.State{
			Source: v.spec.Provider, TargetPath: v.spec.TargetPath, Confirmed: v.health.Confirmed,
			Stale: d.set.isStale(v, now), Offline: v.health.Offline, Held: v.health.Held > 0,
		})
	}
	return states
}

// Unclaimed counts the volumes on this node that kubelet has not published since this
// process began. They were there before it, and it has no token to keep them fresh.
func (d *Deliverer) Unclaimed() (count int, err error) {
	mounted, err := mount.List()
	d.set.mu.Lock()
	defer d.set.mu.Unlock()
	for _, info := range mounted {
		if d.set.at[info.Target] == nil {
			count++
		}
	}
	return count, err
}
