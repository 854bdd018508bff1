package deliver

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
)

// set is the volumes that are published on this node, and the schedule that says which of their
// shares are due. Its lock guards both, and is never held over I/O.
type set struct {
	mu       sync.Mutex
	schedule *schedule.Schedule
	// byID are the volumes by id, byTarget by target path.
	byID, byTarget map[string]*volume
	// shares are those of all volumes, by their ids in the schedule.
	shares map[string]*share
	config *Config
	// news is closed when a call has found something out, a volume goes or the process ends. It is
	// nil while nobody waits for that.
	news chan struct{}
	// ending is set once the process ends: no publish waits any more.
	ending bool
}

// volume is one that is published on this node.
type volume struct {
	spec   Volume
	place  Place
	shares []*share
	// users are the publishes that are under way.
	users int
	// gone is set once it was unpublished.
	gone bool
}

func newSet(config *Config) *set {
	random := func(n time.Duration) time.Duration { return rand.N(n) }
	return &set{
		schedule: schedule.New(config.PollEvery, config.MinRefresh, random),
		byID:     map[string]*volume{}, byTarget: map[string]*volume{}, shares: map[string]*share{}, config: config,
	}
}

// pollOf is how often a source wants to be asked; zero where it leaves that to the schedule.
func (s *set) pollOf(source string) time.Duration {
	known, _ := s.config.Fetcher.Source(source)
	return known.PollEvery
}

// adopt registers the volume, or takes in the newer spec of a known one, which is due if that
// asks for something else. An unknown one begins with the health given. Whoever adopts it has to leave it.
func (s *set) adopt(spec Volume, health report.Health) (*volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, known := s.byID[spec.ID]
	other, taken := s.byTarget[spec.TargetPath]
	differs := false
	switch {
	case known && v.spec.TargetPath != spec.TargetPath:
		return nil, report.Failf(report.Conflict, nil, "volume %s is already published at another target path", spec.ID)
	case taken && other != v:
		return nil, report.Failf(report.Conflict, nil, "another volume, %s, is published at the target path", other.spec.ID)
	case known:
		differs, health = !sameRequest(v.spec, spec), v.shares[0].health
	default:
		v = &volume{place: s.config.Place}
		s.byID[spec.ID], s.byTarget[spec.TargetPath] = v, v
	}
	v.users++
	s.take(v, spec, health, differs)
	return v, nil
}

// take takes in the volume's newer spec, share by share. A new share begins with the health
// given.
func (s *set) take(v *volume, spec Volume, health report.Health, differs bool) {
	former := v.shares
	v.spec, v.shares = spec, nil
	for _, part := range spec.parts() {
		at := slices.IndexFunc(former, func(one *share) bool { return one.source == part.source })
		var one *share
		if at >= 0 {
			one = former[at]
		} else {
			one = newShare(v, part.source, health)
		}
		one.part = part
		one.key = groupKey(one.asked())
		v.shares, s.shares[one.id] = append(v.shares, one), one
		if at >= 0 {
			s.schedule.Update(one.scheduled(s.pollOf(part.source)), differs)
		} else {
			s.schedule.Add(one.scheduled(s.pollOf(part.source)), health.Generation > 0)
		}
	}
	for _, one := range former {
		if !slices.Contains(v.shares, one) {
			s.dropShare(one)
		}
	}
}

// remove takes out the volume that is published at target, so that no delivery under
// way can bring it back; nil if there is none.
func (s *set) remove(target string) *volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.byTarget[target]
	if v != nil {
		s.drop(v)
	}
	return v
}

// leave drops a volume that shows nothing once nobody publishes it any more: kubelet may ask for one again while the call that
// it gave up on comes to its end.
func (s *set) leave(v *volume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.users--
	if v.users == 0 && !v.isLive() && !v.gone {
		s.drop(v)
	}
}

func (s *set) drop(v *volume) {
	v.gone = true
	for _, one := range v.shares {
		s.dropShare(one)
	}
	delete(s.byID, v.spec.ID)
	delete(s.byTarget, v.spec.TargetPath)
	s.stir()
}

func (s *set) dropShare(one *share) {
	s.schedule.Remove(one.id)
	delete(s.shares, one.id)
}

// lose takes in that the volume shows nothing any more.
func (s *set) lose(v *volume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range v.shares {
		one.health.Generation, one.health.Held = 0, 0
		if !v.gone {
			s.schedule.LostFiles(one.id)
		}
	}
}

func (s *set) find(id string) *volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// isAt reports whether the volume of that id is the one at target, as far as is known: after a
// restart neither is.
func (s *set) isAt(id, target string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id] == s.byTarget[target]
}

// refers takes in whether any entry of a share has a reference.
func (s *set) refers(t task, mayRefer bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.share.mayRefer = mayRefer
}

func (s *set) sharesOf(v *volume) []*share {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(v.shares)
}

func (s *set) look(one *share) (Volume, report.Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return one.asked(), one.health
}

// isLive reports whether the volume shows files.
func (s *set) isLive(v *volume) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.isLive()
}

func (v *volume) isLive() bool { return v.shares[0].health.Generation > 0 }
