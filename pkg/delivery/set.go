package delivery

import (
	"slices"
	"sync"
	"time"
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
	// futile counts the deliveries in a row that news led to and that changed nothing.
	// None begins for more of such news before rested.
	futile int
	rested time.Time
	// asked numbers the deliveries of this volume in the order they began, underWay is
	// how many have not ended.
	asked    uint64
	underWay int
	gone     bool
	// lastEvents are the events that the pod was told of what still lasts, stale that it
	// was told it is stale.
	lastEvents map[EventReason]string
	stale      bool

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

// lose takes in that the volume shows nothing any more.
func (s *set) lose(v *volume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.health.Generation, v.health.Held = 0, 0
}

// remember takes in what lasts, and returns the reasons of it that are new. With also set,
// what was remembered before lasts as well.
func (s *set) remember(v *volume, lasting map[EventReason]string, also bool) (news []EventReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for reason, text := range lasting {
		if v.lastEvents[reason] != text {
			news = append(news, reason)
		}
	}
	if also {
		for reason, text := range v.lastEvents {
			if _, renewed := lasting[reason]; !renewed {
				lasting[reason] = text
			}
		}
	}
	v.lastEvents = lasting
	slices.Sort(news)
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
