package delivery

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// set is the volumes that are live on this node. Its lock guards the fields of every
// volume but those that say otherwise, and is never held over I/O.
type set struct {
	mu   sync.Mutex
	live map[string]*volume
}

// volume is one live volume.
type volume struct {
	spec   Volume
	health Health
	// due is when to look again.
	due time.Time
	// changed is set when news of a change has come since the last delivery began, so
	// that its end does not put off the look that the news calls for.
	changed bool
	// failures counts the deliveries that failed since the last good one, quiet the good
	// ones that changed nothing since the last that did.
	failures, quiet int
	// asked numbers the deliveries of this volume in the order they began, underWay is
	// how many have not ended.
	asked    uint64
	underWay int
	gone     bool

	// placing is held while the tmpfs is touched, and guards what follows. Only system
	// calls on memory happen under it.
	placing sync.Mutex
	// placed is the number of the delivery whose outcome stands in the volume. One that
	// began earlier and ends later is dropped: it knows less.
	placed uint64
}

// adopt registers the volume, or takes in the newer spec of a known one. An unknown one
// begins with the health given.
func (s *set) adopt(spec Volume, health Health) (*volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, known := s.live[spec.ID]
	if !known {
		v = &volume{spec: spec, health: health}
		s.live[spec.ID] = v
		return v, nil
	}
	if v.spec.TargetPath != spec.TargetPath {
		return nil, failf(Conflict, nil, "volume %s is already published at %s", spec.ID, v.spec.TargetPath)
	}
	if !sameRequest(v.spec, spec) {
		v.due = time.Time{}
	}
	v.spec = spec
	return v, nil
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

func (s *set) look(v *volume) (Volume, Health, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.spec, v.health, v.due
}

// task is one delivery of one volume.
type task struct {
	*volume
	// spec is the volume's as the delivery began, number the delivery's.
	spec   Volume
	number uint64
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
	v.changed = false
	return task{v, v.spec, v.asked}
}

// remove takes out the volume that is published at target, so that no delivery under
// way can bring it back. A volume of that id elsewhere is another call's.
func (s *set) remove(id, target string) *volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.live[id]
	if v == nil || v.spec.TargetPath != target {
		return nil
	}
	v.gone = true
	delete(s.live, id)
	return v
}

// forgetUnlessLive drops a volume whose first delivery failed; false if it has files.
func (s *set) forgetUnlessLive(v *volume) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.health.Generation > 0 {
		return false
	}
	if s.live[v.spec.ID] == v {
		v.gone = true
		delete(s.live, v.spec.ID)
	}
	return true
}

func (s *set) isGone(v *volume) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.gone
}

// outcome is how a delivery ended. With a problem the files are as they were.
type outcome struct {
	placement
	problem string
}

// end records a delivery's outcome and sets when to look again.
func (s *set) end(v *volume, o outcome, next func(spec Volume, failures, quiet int) time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.underWay--
	switch {
	case o.problem != "":
		v.health.Problem = o.problem
		v.failures++
	case o.changed:
		v.health = Health{Generation: o.generation, Confirmed: o.confirmed}
		v.failures, v.quiet = 0, 0
	default:
		v.health = Health{Generation: o.generation, Confirmed: o.confirmed}
		v.failures = 0
		v.quiet++
	}
	if !v.changed {
		v.due = time.Now().Add(next(v.spec, v.failures, v.quiet))
	}
}

// markChanged makes due every volume of the provider that the change may concern.
func (s *set) markChanged(providerName string, change provider.Change, delay func() time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, v := range s.live {
		if v.spec.Provider == providerName && concerns(change, v.spec) {
			v.changed = true
			v.due = now.Add(delay())
		}
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
// belong to Publish, those under way to whoever ends them.
func (s *set) takeDue(now time.Time) (groups [][]task, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byKey := map[string][]task{}
	wait = maxIdle
	for _, v := range s.live {
		switch left := v.due.Sub(now); {
		case v.health.Generation == 0 || v.underWay > 0:
		case left > 0:
			wait = min(wait, left)
		default:
			key := groupKey(v.spec)
			byKey[key] = append(byKey[key], v.beginLocked())
		}
	}
	return slices.Collect(maps.Values(byKey)), wait
}
