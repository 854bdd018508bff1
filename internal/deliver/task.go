package deliver

import (
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// task is one delivery of one share.
type task struct {
	*share
	begun schedule.Delivery
	// spec and key are what the share asked for as the delivery began, others what the volume's other
	// shares did.
	spec   Volume
	key    string
	others []part
	// live is set if the volume showed files then, podWaits if a pod that starts waits for it.
	live, podWaits bool
	// blank is what a new volume is made of, in the task of its first share.
	blank *blank
	// mayRefer is the share's as the delivery began.
	mayRefer bool
	// reserved is the memory of a new volume for all of its shares; nil for a live one.
	reserved *reservation
	// admitted is the call that may be made for it, where the publish waited for that; nil once it is
	// under way.
	admitted *outage.Call
}

func (s *share) task(begun schedule.Delivery) task {
	made := task{share: s, begun: begun, spec: s.asked(), key: s.key, live: begun.HasFiles, mayRefer: s.mayRefer}
	if len(s.of.shares) > 1 {
		made.others = make([]part, 0, len(s.of.shares)-1)
	}
	for _, other := range s.of.shares {
		if other != s {
			made.others = append(made.others, other.part)
		}
	}
	return made
}

// begin starts the delivery of all shares of a volume, for which a pod waits. Each one's end must be recorded.
func (s *set) begin(v *volume) []task {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.beginAll(v)
}

func (s *set) beginAll(v *volume) (tasks []task) {
	for _, one := range v.shares {
		id := one.id
		if v.gone { // and another may have its id
			id = ""
		}
		begun := one.task(s.schedule.Begin(id, time.Now()))
		begun.podWaits = true
		tasks = append(tasks, begun)
	}
	return tasks
}

// beginIdle starts a delivery of the share, unless one is under way, which knows more.
func (s *set) beginIdle(one *share) (begun task, idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.of.gone || !s.schedule.IsIdle(one.id) {
		return task{}, false
	}
	return one.task(s.schedule.Begin(one.id, time.Now())), true
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
		Entries: len(made.Entries),
	}, time.Now())
}

// plan calls do with the schedule, which nobody else has meanwhile.
func (s *set) plan(do func(plan *schedule.Schedule)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s.schedule)
}

// known is what is known of a share just before it is placed: how it is, whether its volume was
// unpublished meanwhile, and when all of the volume was last known to be right, if the share was at
// the time given.
func (s *set) known(t task, fetched time.Time) (health report.Health, gone bool, confirmed time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range t.of.shares {
		if other != t.share && other.health.Generation > 0 && other.health.Confirmed.Before(fetched) {
			fetched = other.health.Confirmed
		}
	}
	return t.health, t.of.gone, fetched
}

// shown are the lines of what the volume shows; none if nothing, or nothing that can be read.
func (t task) shown() []layout.Entry { return t.manifest().Entries }

// manifest is that of what the volume shows; empty if nothing, or nothing that can be read.
func (t task) manifest() layout.Manifest {
	current, err := t.of.place.Current(t.spec.TargetPath)
	if err != nil {
		return layout.Manifest{}
	}
	return current.Manifest
}

// own leaves out the lines of the other shares, which report them.
func (t task) own(lines []layout.Entry) []layout.Entry {
	isOther := t.ofOthers()
	if isOther == nil {
		return lines
	}
	return selected(lines, func(line layout.Entry) bool { return !isOther(line.Name()) })
}

// selected are those that are chosen.
func selected[T any](all []T, isChosen func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool { return !isChosen(one) })
}

// ofOthers tells the entries of the volume's other shares, which stay as they stand; nil if it has none.
func (t task) ofOthers() func(layout.Name) bool {
	if len(t.others) == 0 {
		return nil
	}
	return setOf(t.others...).Has
}
