package deliver

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
	// shares are the shares of all volumes, by their ids in the schedule.
	shares map[string]*volume
}

// volume is one live volume, or of one that has several sources what one of them gives. The
// first share stands for the whole volume.
type volume struct {
	// main is the first share, which knows all of them and the whole spec.
	main   *volume
	shares []*volume
	whole  Volume

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
	// others are the specs of the volume's other shares.
	others []Volume
	// live is set if the volume showed files then; failures counts the deliveries that have
	// failed since the last good one.
	live     bool
	failures int
}

func newSet(pollEvery time.Duration) set {
	return set{schedule: schedule.New(pollEvery, randomBelow), live: map[string]*volume{}, at: map[string]*volume{}, shares: map[string]*volume{}}
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
		v = &volume{}
		s.live[spec.ID], s.at[spec.TargetPath] = v, v
		s.share(v, spec, health, false)
		return v, false, nil
	}
	differs = !sameRequest(v.whole, spec)
	s.share(v, spec, v.health, differs)
	return v, differs, nil
}

// share takes in the volume's newer spec, share by share. A new share begins with the health
// given.
func (s *set) share(main *volume, spec Volume, health report.Health, differs bool) {
	former := main.shares
	main.main, main.shares, main.whole = main, nil, spec
	for i, part := range spec.shares() {
		v := main
		if i > 0 {
			v = &volume{main: main}
			if at := slices.IndexFunc(former, func(v *volume) bool { return v != main && v.spec.Provider == part.Provider }); at >= 0 {
				v = former[at]
			}
		}
		v.spec, v.key = part, groupKey(part)
		main.shares = append(main.shares, v)
		if s.shares[v.id()] == v {
			s.schedule.Update(v.scheduled(), differs)
			continue
		}
		v.health = health
		s.shares[v.id()] = v
		s.schedule.Add(v.scheduled(), health.Generation > 0)
	}
	for _, v := range former {
		if !slices.Contains(main.shares, v) {
			s.dropShare(v)
		}
	}
}

// id is the share's in the schedule.
func (v *volume) id() string {
	if v == v.main {
		return v.spec.ID
	}
	return v.spec.ID + "\x00" + v.spec.Provider
}

// scheduled is what the schedule has to know of the volume.
func (v *volume) scheduled() schedule.Volume {
	return schedule.Volume{
		ID: v.id(), Source: v.spec.Provider, Namespace: v.spec.Pod.Namespace, Key: v.key,
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
	return s.beginShare(v)
}

// beginAll starts the delivery of all shares of a volume.
func (s *set) beginAll(v *volume) (tasks []task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, share := range v.shares {
		tasks = append(tasks, s.beginShare(share))
	}
	return tasks
}

func (s *set) beginShare(v *volume) task {
	id := v.id()
	if v.main.gone { // and another may have its id
		id = ""
	}
	return v.task(s.schedule.Begin(id, time.Now()))
}

func (v *volume) task(begun schedule.Delivery) task {
	made := task{volume: v, begun: begun, spec: v.spec, key: v.key, live: begun.HasFiles, failures: begun.Failures}
	for _, other := range v.main.shares {
		if other != v {
			made.others = append(made.others, other.spec)
		}
	}
	return made
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
			group[i] = s.shares[begun.ID].task(begun)
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

func (s *set) sharesOf(v *volume) []*volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(v.shares)
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
	for _, share := range v.shares {
		s.dropShare(share)
	}
	delete(s.live, v.spec.ID)
	delete(s.at, v.spec.TargetPath)
}

func (s *set) dropShare(v *volume) {
	s.schedule.Remove(v.id())
	delete(s.shares, v.id())
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
	return v.main.gone
}

// lose takes in that the volume shows nothing any more.
func (s *set) lose(v *volume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, share := range v.shares {
		share.health.Generation, share.health.Held = 0, 0
		if !v.gone {
			s.schedule.LostFiles(share.id())
		}
	}
}

// turnedStale are the volumes that have become stale since it was last called.
func (s *set) turnedStale(now time.Time) (turned []*volume) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.shares {
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
