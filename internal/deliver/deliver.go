package deliver

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
)

// volumesAtOnce bounds how many volumes of the node are filled at once: more would hold
// more files in memory for no gain. None waits for anybody while it is being filled, so that a
// namespace may have all turns while no other wants one.
const volumesAtOnce = 4

// The numbers are those of the package's comment.

// deliver brings a group of live shares, alike in source, identity and request, up to date. Its error is why
// one is not.
func (d *Deliverer) deliver(ctx context.Context, group []task) (failure error) {
	var mu sync.Mutex
	var outgrown []task
	d.caller.fetch(ctx, group, func(i int, from answer) { // 1
		fault := d.guard.Run(subject(group[i].spec), func() error {
			err := d.fill(ctx, group[i:i+1], []answer{from}) // which has reported it
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, seam.ErrOutgrown) {
				d.caller.sizes.next(group[i:i+1], from.reserved.size)
				outgrown = append(outgrown, group[i])
			} else if err != nil {
				failure = err
			}
			return nil
		})
		if fault != nil {
			mu.Lock()
			defer mu.Unlock()
			failure = fault
		}
	})
	for i := range outgrown {
		if err := d.deliver(ctx, outgrown[i:i+1]); err != nil {
			failure = err
		}
	}
	d.trigger()
	return failure
}

// deliverNew makes a volume that a pod waits for, of all its shares in one swap.
func (d *Deliverer) deliverNew(ctx context.Context, tasks []task) error {
	tasks[0].blank = d.newBlank(tasks[0].spec)
	defer tasks[0].blank.drop()
	defer d.trigger()
	defer d.set.giveBack(tasks)
	var made error
	fault := d.guard.Run(subject(tasks[0].spec), func() error {
		for size := d.caller.first(tasks); ; size = d.caller.sizes.next(tasks, size) {
			if made = d.deliverReserved(ctx, tasks, size); !errors.Is(made, seam.ErrOutgrown) {
				return nil
			}
		}
	})
	if fault != nil {
		return d.fill(ctx, tasks, failedAnswers(tasks, fault))
	}
	return made
}

func failedAnswers(tasks []task, err error) []answer {
	return slices.Repeat([]answer{failed(err)}, len(tasks))
}

// deliverReserved makes a volume in memory that suffices for so much of all its shares, or fails
// by seam.ErrOutgrown.
func (d *Deliverer) deliverReserved(ctx context.Context, tasks []task, size int64) error {
	in, err := d.reserveNew(ctx, tasks, size)
	if err != nil {
		return d.fill(ctx, tasks, failedAnswers(tasks, err))
	}
	defer in.Leave()
	answers := make([]answer, len(tasks))
	for i := range tasks {
		tasks[i].reserved = in
	}
	fetch := func(i int) {
		d.caller.fetch(ctx, tasks[i:i+1], func(_ int, from answer) { answers[i] = from }) // 1
	}
	var others sync.WaitGroup
	for i := range tasks[1:] {
		others.Go(func() { fetch(i + 1) })
	}
	fetch(0)
	others.Wait()
	if slices.ContainsFunc(answers, func(from answer) bool { return errors.Is(from.Err, seam.ErrOutgrown) }) {
		return seam.ErrOutgrown
	}
	return d.fill(ctx, tasks, answers)
}

// reserveNew waits for the memory of a new volume, if there is a chance that it is admitted.
func (d *Deliverer) reserveNew(ctx context.Context, tasks []task, size int64) (*reservation, error) {
	if err := d.Budget.Admits(tasks[0].spec.Pod.Namespace); err != nil {
		return nil, err
	}
	return d.caller.reserve(ctx, tasks[0].spec, size, len(tasks))
}

// fill is a delivery from 2 on: of one share of a live volume, or of all
// shares of a new one. Whatever keeps a live volume from what it is to hold, what was taken away
// leaves. Shares of a new volume that are not at fault report nothing of one that is not made.
// What fails by seam.ErrOutgrown reports nothing: it is done again.
func (d *Deliverer) fill(ctx context.Context, tasks []task, answers []answer) error {
	var ends []ending
	var failure error
	fault := d.guard.Run(subject(tasks[0].spec), func() (err error) {
		ends, err = d.makeOrSalvage(ctx, tasks, answers)
		failure = failureOfShares(ends)
		return err
	})
	switch {
	case errors.Is(fault, seam.ErrOutgrown):
		return seam.ErrOutgrown
	case fault != nil:
		ends, failure = slices.Repeat([]ending{{err: fault}}, len(tasks)), fault
	}
	for i, t := range tasks {
		if ends[i].err == nil && failure != nil {
			d.set.end(t, report.Report{Superseded: true})
			continue
		}
		if err := d.report(t, ends[i]); failure == nil { // 4
			failure = err
		}
	}
	return failure
}

// makeOrSalvage fails by seam.ErrOutgrown alone.
func (d *Deliverer) makeOrSalvage(ctx context.Context, tasks []task, answers []answer) ([]ending, error) {
	ends := d.make(ctx, tasks, answers)
	if slices.ContainsFunc(ends, func(end ending) bool { return errors.Is(end.err, seam.ErrOutgrown) }) {
		return nil, seam.ErrOutgrown
	}
	for i, t := range tasks {
		if ends[i].err = orGivenUp(ctx, ends[i].err); ends[i].err != nil && t.live {
			d.salvage(t, answers[i], &ends[i])
		}
	}
	return ends, nil
}

// make makes the volume hold what was fetched for its shares, and returns how that ended for each.
func (d *Deliverer) make(ctx context.Context, tasks []task, answers []answer) []ending {
	ends := make([]ending, len(tasks))
	// What was taken away has to leave, whoever still waits for this.
	leave, _ := d.filling.Take(context.WithoutCancel(ctx), tasks[0].spec.Pod.Namespace, 1)
	defer leave()
	for i, t := range tasks { // 2
		ends[i].err = d.guard.Run(subject(t.spec), func() (err error) {
			if answers[i].Err != nil {
				return providerError(t.spec, answers[i].Err)
			}
			shown := identified(t, answers[i].Answer)
			ends[i].content, err = contentOf(t, shown.entries)
			ends[i].identities, ends[i].late = shown.identities, ends[i].late || shown.late
			return err
		})
	}
	if failureOfShares(ends) == nil {
		d.placeAll(tasks, answers, ends) // 3
	}
	return ends
}

// placeAll places the contents of all shares in one swap. A failure is that of the first.
func (d *Deliverer) placeAll(tasks []task, answers []answer, ends []ending) {
	whole, from := content{}, answers[0]
	for i := range tasks {
		whole.entries = append(whole.entries, ends[i].entries...)
		whole.identities = append(whole.identities, ends[i].identities...)
		from = older(from, answers[i])
	}
	var placed placement
	ends[0].err = d.guard.Run(subject(tasks[0].spec), func() (err error) {
		placed, err = d.place(tasks, whole, from)
		return err
	})
	if ends[0].err != nil {
		return
	}
	for i, from := range answers {
		ends[i].placement = placed
		ends[i].confirmed, ends[i].offline = from.Fetched, from.Offline != nil
	}
}

// older is the answer that was fetched first; offline if either is.
func older(a, b answer) answer {
	if b.Fetched.Before(a.Fetched) {
		a.Fetched = b.Fetched
	}
	if a.Offline == nil {
		a.Offline = b.Offline
	}
	return a
}
