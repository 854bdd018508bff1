package deliver

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// shares are what the volume wants of each of its sources, each a Volume of that source
// alone. What its own source gives comes first.
func (v Volume) shares() []Volume {
	sources := []string{v.Provider}
	for _, name := range slices.Concat(v.Connections.Names, v.Variables.Names) {
		if name.Source != "" && !slices.Contains(sources, name.Source) {
			sources = append(sources, name.Source)
		}
	}
	if len(sources) == 1 {
		return []Volume{v}
	}
	var shares []Volume
	for _, source := range sources {
		share := v
		share.Provider = source
		share.Connections, share.Variables = v.Connections.of(source, v.Provider), v.Variables.of(source, v.Provider)
		if !share.Connections.isEmpty() || !share.Variables.isEmpty() {
			shares = append(shares, share)
		}
	}
	return shares
}

// Asks reports whether the volume wants anything of the source.
func (v Volume) Asks(source string) bool {
	return slices.ContainsFunc(v.shares(), func(share Volume) bool { return share.Provider == source })
}

// of is what is wanted of the source, in a volume whose own source is volumes.
func (w Wanted) of(source, volumes string) Wanted {
	share := Wanted{All: w.All && source == volumes}
	for _, name := range w.Names {
		if name.Source == source || name.Source == "" && source == volumes {
			share.Names = append(share.Names, name)
		}
	}
	return share
}

func (w Wanted) isEmpty() bool { return !w.All && len(w.Names) == 0 }

// has reports whether the volume wants the entry.
func (v Volume) has(name layout.Name) bool {
	wanted := v.wanted(name.Kind)
	return wanted.All || slices.ContainsFunc(wanted.Names, func(one WantedName) bool { return one.ID == name.ID })
}

// isOthers reports whether the entry is of a share that this delivery leaves alone.
func (t task) isOthers(name layout.Name) bool {
	return slices.ContainsFunc(t.others, func(other Volume) bool { return other.has(name) })
}

// own leaves out the lines of the other shares, which report them.
func (t task) own(lines []layout.Entry) []layout.Entry {
	if len(t.others) == 0 {
		return lines
	}
	return slices.DeleteFunc(slices.Clone(lines), func(line layout.Entry) bool { return t.isOthers(line.Name()) })
}

// carried are the entries of the volume's other shares, which stay as they stand. The target
// path is locked, so that no other share is being placed.
func (t task) carried() (entries []mount.Entry) {
	if len(t.others) == 0 {
		return nil
	}
	shown, err := mount.Current(t.spec.TargetPath)
	if err != nil {
		return nil // nothing stands
	}
	for _, line := range shown.Manifest.Entries {
		if t.isOthers(line.Name()) {
			entries = append(entries, mount.Entry{Entry: layout.Entry{Kind: line.Kind, ID: line.ID}, Hold: true})
		}
	}
	return entries
}

// deliverShares brings a volume of several sources up to date. A live one has its shares
// delivered each on its own. A new one waits for all of them, and is made in one swap.
func (d *Deliverer) deliverShares(ctx context.Context, tasks []task) error {
	var sides sync.WaitGroup
	if !tasks[0].live {
		answers := make([]answer, len(tasks))
		for i := range tasks {
			sides.Go(func() {
				d.fetch(ctx, publishing, tasks[i:i+1], func(_ int, from answer) { answers[i] = from })
			})
		}
		sides.Wait()
		defer d.trigger()
		return d.fillTogether(ctx, tasks, answers)
	}
	errs := make([]error, len(tasks))
	for i := range tasks {
		sides.Go(func() { errs[i] = d.deliver(ctx, publishing, tasks[i:i+1])[0] })
	}
	sides.Wait()
	return failureOfShares(errs)
}

// fillTogether is fill for all shares of a new volume. Shares that are not at fault report
// nothing of a volume that is not made.
func (d *Deliverer) fillTogether(ctx context.Context, tasks []task, answers []answer) error {
	endings, errs := make([]ending, len(tasks)), make([]error, len(tasks))
	decided, whole := make([][]entry.Entry, len(tasks)), content{}
	from := answers[0]
	for i, t := range tasks {
		errs[i] = d.guard(t.spec, func() (err error) {
			decided[i], err = d.decided(ctx, t, answers[i])
			return err
		})
		from = older(from, answers[i])
	}
	d.filling <- struct{}{}
	for i, t := range tasks {
		if errs[i] == nil {
			errs[i] = d.guard(t.spec, func() (err error) {
				endings[i].content, err = d.rendered(t, decided[i])
				return err
			})
		}
		endings[i].err = errs[i]
		whole.entries = append(whole.entries, endings[i].entries...)
	}
	if failureOfShares(errs) == nil {
		var placed placement
		err := d.guard(tasks[0].spec, func() (err error) {
			placed, err = d.placeFirst(tasks, whole, from)
			return err
		})
		for i := range endings {
			endings[i].placement, endings[i].err = placed, err
			endings[i].confirmed, endings[i].offline = answers[i].fetched, answers[i].offline != nil
		}
		errs[0] = err
	}
	<-d.filling
	failure := failureOfShares(errs)
	for i, t := range tasks {
		if failure != nil && errs[i] == nil {
			d.set.end(t, report.Report{Superseded: true})
			continue
		}
		if err := d.tell(t, publishing, endings[i]); failure == nil {
			failure = err
		}
	}
	return failure
}

// placeFirst is place for all shares of a new volume.
func (d *Deliverer) placeFirst(tasks []task, whole content, from answer) (placement, error) {
	first := tasks[0]
	first.others = nil // nothing of them stands
	placed, err := d.place(first, publishing, whole, from)
	if err != nil {
		return placement{}, err
	}
	defer d.targets.lock(first.spec.TargetPath)()
	for _, t := range tasks[1:] {
		t.placed = max(t.placed, t.begun.Number)
	}
	return placed, nil
}

// older is the answer that was fetched first; offline if either is.
func older(a, b answer) answer {
	if b.fetched.Before(a.fetched) {
		a.fetched = b.fetched
	}
	if a.offline == nil {
		a.offline = b.offline
	}
	return a
}

// failureOfShares is that of a share which cannot be had now, or else what all shares say that
// failed; nil if none did.
func failureOfShares(errs []error) error {
	var all *report.Error
	for _, err := range errs {
		if err == nil {
			continue
		}
		failure := report.Failf(report.Internal, err, "%v", err)
		_ = errors.As(err, &failure)
		switch {
		case failure.Reason == report.Unavailable:
			return failure
		case all == nil:
			all = failure
		default:
			joined := report.Failf(all.Reason, errors.Join(all, failure), "%s; %s", all.Message, failure.Message)
			if all.Full != "" || failure.Full != "" {
				joined.Full = cmp.Or(all.Full, all.Message) + "; " + cmp.Or(failure.Full, failure.Message)
			}
			joined.Entries = slices.Concat(all.Entries, failure.Entries)
			all = joined
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// confirmedBy is when all of the volume was last known to be right, if the share was at the
// time given.
func (s *set) confirmedBy(t task, at time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range t.main.shares {
		if other != t.volume && other.health.Generation > 0 && other.health.Confirmed.Before(at) {
			at = other.health.Confirmed
		}
	}
	return at
}
