package deliver

import (
	"time"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/mount"
)

// Health tells how a live volume is; false if this process does not know it.
func (d *Deliverer) Health(volumeID string) (report.Health, bool) {
	v := d.set.find(volumeID)
	if v == nil {
		return report.Health{}, false
	}
	var health report.Health
	for i, share := range d.set.sharesOf(v) {
		spec, ofShare := d.set.look(share)
		if why := d.caller.whyAway(spec); why != nil && ofShare.Problem == "" {
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

// Usage is what a volume takes up.
type Usage = mount.Usage

// Stats measures the volume at path. The error's reason is Missing where no volume of
// ours is mounted.
func (d *Deliverer) Stats(path string) (Usage, error) {
	usage, err := d.Place.Stats(path)
	if err != nil {
		return Usage{}, report.Failf(mountReason(err), err, "measuring the volume: %v", err)
	}
	return usage, nil
}

// Memory is what the node's memory is reckoned with.
func (d *Deliverer) Memory() budget.State { return d.Budget.State() }

// Census is the state of every volume that shows files.
func (d *Deliverer) Census() []report.State {
	d.set.mu.Lock()
	defer d.set.mu.Unlock()
	now := time.Now()
	states := make([]report.State, 0, len(d.set.shares))
	for _, one := range d.set.shares {
		if one.health.Generation == 0 {
			continue
		}
		states = append(states, report.State{
			Source: one.source, TargetPath: one.of.spec.TargetPath, Confirmed: one.health.Confirmed,
			Stale: d.set.staleAt(one, now), Offline: one.health.Offline, Held: one.health.Held > 0,
		})
	}
	return states
}

// Unclaimed counts the volumes on this node that kubelet has not published since this
// process began. They were there before it, and it has no token to keep them fresh.
func (d *Deliverer) Unclaimed() (count int, err error) {
	targets, err := d.Place.Targets()
	d.set.mu.Lock()
	defer d.set.mu.Unlock()
	for _, target := range targets {
		if d.set.byTarget[target] == nil {
			count++
		}
	}
	return count, err
}

// oneIsUnanswered is said of a provider to whoever looks at the node, where the reason is a namespace's.
const oneIsUnanswered = "the last calls were not answered; the driver's log says for which namespace, and why"

// Unreachable names the providers that cannot be asked at present, and says why.
func (d *Deliverer) Unreachable() map[string]string {
	found := map[string]string{}
	d.set.plan(func(plan *schedule.Schedule) {
		for _, name := range d.Fetcher.Sources() {
			switch away, why := plan.Away(name, time.Now()); {
			case why != nil:
				found[name] = why.Error()
			case away:
				found[name] = oneIsUnanswered
			}
		}
	})
	return found
}
