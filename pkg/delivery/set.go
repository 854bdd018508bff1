package delivery

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// set is the volumes that are live on this node. Its lock guards the fields of every
// volume but those that say otherwise, and is never held over I/O.
type set struct {
	mu sync.Mutex
	// live are the volumes by id, at by target path.
	live, at map[string]*volume
}

// volume is one live volume.
type volume struct {
	spec   Volume
	health Health
	// key is groupKey(spec).
	key string
	// due is when to look again, early from when on to do so along with another of the
	// same key, in the same call.
	due, early time.Time
	// changed is set when news of a change has come since the last delivery began, so
	// that its end does not put off the look that the news calls for.
	changed bool
	// told is when a watch told of the change that no delivery has begun for yet.
	told time.Time
	// failures counts the deliveries that failed since the last good one, quiet the good
	// ones that changed nothing since the last that did.
	failures, quiet int
	// asked numbers the deliveries of this volume in the order they began, underWay is
	// how many have not ended.
	asked    uint64
	underWay int
	gone     bool
	// heard is the event that the pod was told last, stale that it was told it is stale.
	heard string
	stale bool

	// placed is the number of the delivery whose outcome stands in the volume. One that
	// began earlier and ends later is dropped: it knows less. The target path's lock
	// guards it.
	placed uint64
}

// adopt registers the volume, or takes in the newer spec of a known one and reports
// whether that asks for something else. An unknown one begins with the health given.
func (s *set) adopt(spec Volume, health Health) (v *volume, differs bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, known := s.live[spec.ID]
	other, taken := s.at[spec.TargetPath]
	switch {
	case known && v.spec.TargetPath != spec.TargetPath:
		return nil, false, failf(Conflict, nil, "volume %s is already published at %s", spec.ID, v.spec.TargetPath)
	case taken && other != v:
		return nil, false, failf(Conflict, nil, "another volume, %s, is published at %s", other.spec.ID, spec.TargetPath)
	case !known:
		v = &volume{spec: spec, key: groupKey(spec), health: health}
		s.live[spec.ID], s.at[spec.TargetPath] = v, v
		return v, false, nil
	}
	differs = !sameRequest(v.spec, spec)
	if differs || v.failures > 0 {
		v.due, v.early = time.Time{}, time.Time{}
	}
	v.changed = v.changed || differs
	v.spec, v.key = spec, groupKey(spec)
	return v, differs, nil
}

// sameRequest reports whether two specs of one volume ask for the same files.
func sameRequest(a, b Volume) bool {
	return a.Group == b.Group && a.Mode == b.Mode && a.Format == b.Format && groupKey(a) == groupKey(b) &&
		slices.Equal(a.Connections.Names, b.Connections.Names) && slices.Equal(a.Variables.Names, b.Variables.Names)
}

func (s *set) find(id string) *volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[id]
}

func (s *set) look(v *volume) (Volume, Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.spec, v.health
}

// task is one delivery of one volume.
type task struct {
	*volume
	// spec and key are the volume's as the delivery began, number is the delivery's.
	spec   Volume
	key    string
	number uint64
	// began is when; told is when a watch told of the change that led to it.
	began, told time.Time
	// live is set if the volume showed files then, retries if the last delivery failed.
	live, retries bool
}

// begin starts a delivery. Its end must be recorded.
func (s *set) begin(v *volume) task {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.beginLocked()
}

func (v *volume) beginLocked() task {
	v.asked++
	v.underWay++
	begun := task{
		volume: v, spec: v.spec, key: v.key, number: v.asked, began: time.Now(), told: v.told,
		live: v.health.Generation > 0, retries: v.failures > 0,
	}
	v.changed, v.told = false, time.Time{}
	return begun
}

// remove takes out the volume that is published at target, so that no delivery under
// way can bring it back; nil if there is none.
func (s *set) remove(target string) *volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.at[target]
	if v != nil {
		s.drop(v)
	}
	return v
}

func (s *set) drop(v *volume) {
	v.gone = true
	delete(s.live, v.spec.ID)
	delete(s.at, v.spec.TargetPath)
}

// mayBeAt reports whether nothing speaks against the volume of that id being the one at
// target. After a restart nothing does.
func (s *set) mayBeAt(id, target string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, there := s.live[id], s.at[target]
	return v == there
}

// forgetUnlessLive drops a volume whose first delivery failed; false if it has files.
func (s *set) forgetUnlessLive(v *volume) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.health.Generation > 0 {
		return false
	}
	if !v.gone {
		s.drop(v)
	}
	return true
}

func (s *set) isGone(v *volume) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.gone
}

// hear takes in what the pod is told, and reports whether it has not just heard it.
func (s *set) hear(v *volume, event string) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	news = v.heard != event
	v.heard = event
	return news
}

// turnedStale are the volumes that have become stale since it was last called.
func (s *set) turnedStale(now time.Time, after func(Volume) time.Duration) (turned []*volume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.live {
		was := v.stale
		v.stale = v.health.Generation > 0 && now.Sub(v.health.Confirmed) > after(v.spec)
		if v.stale && !was {
			turned = append(turned, v)
		}
	}
	return turned
}

// outcome is how a delivery ended. Where it failed the files are as they were.
type outcome struct {
	placement
	failed  bool
	problem string
	// lost is set where the volume's mount was found gone.
	lost bool
}

// end records a delivery's outcome and sets when to look again.
func (s *set) end(v *volume, o outcome, next func(spec Volume, failures, quiet int) time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.underWay--
	v.health.Problem = o.problem
	switch {
	case o.lost: // it waits for Publish again, as one that is new
		v.health.Generation = 0
	case o.generation > 0:
		v.health.Generation, v.health.Confirmed, v.health.Offline = o.generation, o.confirmed, o.offline
	}
	v.count(o)
	if !v.changed {
		base, now := next(v.spec, v.failures, v.quiet), time.Now()
		v.due, v.early = now.Add(jitter(base)), now.Add(earliest(base))
	}
}

func (v *volume) count(o outcome) {
	switch {
	case o.failed:
		v.failures++
	case o.changed:
		v.failures, v.quiet = 0, 0
	default:
		v.failures = 0
		v.quiet++
	}
}

// markChanged makes due every volume of the provider that the change may concern,
// within the time given.
func (s *set) markChanged(providerName string, change provider.Change, within time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeDue(within, func(v *volume) bool {
		concerned := v.spec.Provider == providerName && concerns(change, v.spec)
		v.changed = v.changed || concerned
		if concerned && !change.All && v.told.IsZero() {
			v.told = time.Now()
		}
		return concerned
	})
}

// resume makes due, over resyncSpread, what waited while the provider could not be
// asked.
func (s *set) resume(providerName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.makeDue(resyncSpread, func(v *volume) bool {
		return v.spec.Provider == providerName && (v.failures > 0 || !now.Before(v.due))
	})
}

// makeDue draws one time for all volumes that can share a call.
func (s *set) makeDue(within time.Duration, chosen func(*volume) bool) {
	now, delays := time.Now(), map[string]time.Duration{}
	for _, v := range s.live {
		if !chosen(v) {
			continue
		}
		if _, drawn := delays[v.key]; !drawn {
			delays[v.key] = rand.N(within + 1)
		}
		v.due, v.early = now.Add(delays[v.key]), now
	}
}

func concerns(change provider.Change, spec Volume) bool {
	if change.All {
		return true
	}
	for _, name := range change.Entries {
		wanted := spec.Connections
		if name.Kind == provider.Variable {
			wanted = spec.Variables
		}
		if wanted.has(name.ID) {
			return true
		}
	}
	return false
}

// takeDue returns the volumes that are due, grouped so that each group can share one
// fetch, and how long until the next is due. Volumes that wait for their first delivery
// belong to Publish, those under way to whoever ends them. turn tells of a provider how
// long nobody may ask it, and whether no more than one group may.
func (s *set) takeDue(now time.Time, turn func(providerName string, now time.Time) (time.Duration, bool)) (groups [][]task, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = maxIdle
	due, probed := map[string]bool{}, map[string]bool{}
	for _, v := range s.live {
		held, probe := turn(v.spec.Provider, now)
		left := max(v.due.Sub(now), held)
		switch {
		case !v.isIdle() || due[v.key]:
		case left > 0:
			wait = min(wait, left)
		case !probed[v.spec.Provider]:
			due[v.key] = true
			probed[v.spec.Provider] = probe
		}
	}
	return s.beginGroups(due, now), wait
}

// beginGroups starts a delivery of every idle volume of the keys, but for those that are not
// to be looked at yet.
func (s *set) beginGroups(keys map[string]bool, now time.Time) [][]task {
	byKey := map[string][]task{}
	for _, v := range s.live {
		if keys[v.key] && v.isIdle() && !now.Before(v.early) {
			byKey[v.key] = append(byKey[v.key], v.beginLocked())
		}
	}
	return slices.Collect(maps.Values(byKey))
}

// isIdle reports whether the volume has files and no delivery under way.
func (v *volume) isIdle() bool { return v.health.Generation > 0 && v.underWay == 0 }
