package delivery

import (
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
)

// set is the volumes that are live on this node, and the schedule that says which are due.
// Its lock guards both, and is never held over I/O.
type set struct {
	mu       sync.Mutex
	schedule *schedule.Schedule
	// live are the volumes by id, at by target path.
	live, at map[string]*volume
}

// volume is one live volume.
type volume struct {
	spec   Volume
	health report.Health
	// key is groupKey(spec).
	key  string
	gone bool
	// events is what the pod was told.
	events report.Events
	// placed is the number of the delivery whose outcome stands in the volume. One that
	// began earlier and ends later is dropped: it knows less. The target path's lock
	// guards it.
	placed uint64
}

// task is one delivery of one volume.
type task struct {
	*volume
	begun schedule.Delivery
	// spec and key are the volume's as the delivery began.
	spec Volume
	key  string
	// live is set if the volume showed files then; failures counts the deliveries that have
	// failed since the last good one.
	live     bool
	failures int
}

func newSet(pollEvery time.Duration) set {
	return set{schedule: schedule.New(pollEvery, randomBelow), live: map[string]*volume{}, at: map[string]*volume{}}
}

// plan calls do with the schedule, which nobody else has meanwhile.
func (s *set) plan(do func(plan *schedule.Schedule)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s.schedule)
}

// adopt registers the volume, or takes in the newer spec of a known one and reports
// whether that asks for something else. An unknown one begins with the health given.
func (s *set) adopt(spec Volume, health report.Health) (v *volume, differs bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, known := s.live[spec.ID]
	other, taken := s.at[spec.TargetPath]
	switch {
	case known && v.spec.TargetPath != spec.TargetPath:
		return nil, false, report.Failf(report.Conflict, nil, "volume %s is already published at another target path", spec.ID)
	case taken && other != v:
		return nil, false, report.Failf(report.Conflict, nil, "another volume, %s, is published at the target path", other.spec.ID)
	case !known:
		v = &volume{spec: spec, key: groupKey(spec), health: health}
		s.live[spec.ID], s.at[spec.TargetPath] = v, v
		s.schedule.Add(v.scheduled(), health.Generation > 0)
		return v, false, nil
	}
	differs = !sameRequest(v.spec, spec)
	v.spec, v.key = spec, groupKey(spec)
	s.schedule.Update(v.scheduled(), differs)
	return v, differs, nil
}

// scheduled is what the schedule has to know of the volume.
func (v *volume) scheduled() schedule.Volume {
	return schedule.Volume{
		ID: v.spec.ID, Source: v.spec.Provider, Namespace: v.spec.Pod.Namespace, Key: v.key,
		Refresh: v.spec.Refresh, Wanted: wantedSet(v.spec),
	}
}

// sameRequest reports whether two specs of one volume ask for the same files.
func sameRequest(a, b Volume) bool {
	return a.Group == b.Group && a.Mode == b.Mode && a.Format == b.Format && groupKey(a) == groupKey(b) &&
		slices.Equal(a.Connections.Names, b.Connections.Names) && slices.Equal(a.Variables.Names, b.Variables.Names)
}

// begin starts a delivery. Its end must be recorded.
func (s *set) begin(v *volume) task {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := v.spec.ID
	if v.gone { // and another may have its id
		id = ""
	}
	return v.task(s.schedule.Begin(id, time.Now()))
}

func (v *volume) task(begun schedule.Delivery) task {
	return task{volume: v, begun: begun, spec: v.spec, key: v.key, live: begun.HasFiles, failures: begun.Failures}
}

// takeDue begins the deliveries that are due, in groups that can share one fetch, and tells
// how long until the next are.
func (s *set) takeDue(now time.Time) (groups [][]task, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due, wait := s.schedule.Due(now)
	for _, work := range due {
		group := make([]task, len(work))
		for i, begun := range work {
			group[i] = s.live[begun.ID].task(begun)
		}
		groups = append(groups, group)
	}
	return groups, wait
}

// end takes in how a delivery went.
func (s *set) end(t task, made report.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.health = t.health.After(made)
	s.schedule.Ended(t.begun, schedule.Ended{
		Failed: made.Failure != nil || made.Offline || made.Late, Changed: made.Changed, HasFiles: t.health.Generation > 0,
	}, time.Now())
}

func (s *set) find(id string) *volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[id]
}

func (s *set) look(v *volume) (Volume, report.Health) {
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
	s.schedule.Remove(v.spec.ID)
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

// forgetUnlessLive drops a volume whose first delivery failed.
func (s *set) forgetUnlessLive(v *volume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.health.Generation == 0 && !v.gone {
		s.drop(v)
	}
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
	if !v.gone {
		s.schedule.LostFiles(v.spec.ID)
	}
}

// turnedStale are the volumes that have become stale since it was last called.
func (s *set) turnedStale(now time.Time) (turned []*volume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.live {
		if v.events.TurnedStale(s.isStale(v, now)) {
			turned = append(turned, v)
		}
	}
	return turned
}

// isStale reports whether readers of the volume's files should doubt them.
func (s *set) isStale(v *volume, now time.Time) bool {
	return v.health.Generation > 0 && now.Sub(v.health.Confirmed) > s.schedule.StaleAfter(v.spec.Refresh)
}
