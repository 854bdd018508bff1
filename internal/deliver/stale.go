package deliver

import (
	"context"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
)

// staleAfter is how old the share's last confirmation may grow before its readers should doubt
// it. Nothing changes that.
func (s *set) staleAfter(spec Volume) time.Duration {
	return s.schedule.StaleAfter(spec.Refresh, spec.IDs())
}

func (s *set) isStale(one *share) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.staleAt(one, time.Now())
}

// staleAt reports whether readers of the share's files should doubt them.
func (s *set) staleAt(one *share, now time.Time) bool {
	return one.health.Generation > 0 && now.Sub(one.health.Confirmed) > s.schedule.StaleAfter(one.of.spec.Refresh, one.ids())
}

// turnedStale are the shares that have become stale since it was last called.
func (s *set) turnedStale(now time.Time) (turned []*share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.shares {
		if one.events.TurnedStale(s.staleAt(one, now)) {
			turned = append(turned, one)
		}
	}
	return turned
}

// reportStale tells the pods whose files have just become so old that they are in doubt, and has
// their manifests say so where their source cannot be asked. One that answers, and refuses, has
// them say so when it next does.
func (d *Deliverer) reportStale(ctx context.Context, owned *sync.WaitGroup) {
	for _, one := range d.set.turnedStale(time.Now()) {
		spec, health := d.set.look(one)
		message := "the files were last confirmed " + health.Age() + " ago"
		if full, known := d.Health(spec.ID); known && full.Problem != "" {
			message = full.Problem
		}
		d.Recorder.Record(subject(spec), report.EventVolumeStale, message)
		if why := d.caller.whyAway(spec); why != nil {
			owned.Go(func() { d.writeStale(ctx, one, why) })
		}
	}
}

// writeStale has the volume's manifest say that the share's source cannot be asked. It reads back
// all that the volume shows, for which it reserves memory.
func (d *Deliverer) writeStale(ctx context.Context, one *share, why error) {
	begun, isIdle := d.set.beginIdle(one)
	if !isIdle {
		return
	}
	tasks := []task{begun}
	err := d.guard.Run(subject(begun.spec), func() error {
		in, err := d.caller.reserve(ctx, begun.spec, d.caller.first(tasks), 1)
		if err != nil {
			return err
		}
		defer in.Leave()
		_ = d.fill(ctx, tasks, failedAnswers(tasks, why)) // which reports it
		return nil
	})
	if err != nil {
		_ = d.fill(ctx, tasks, failedAnswers(tasks, err))
	}
}
