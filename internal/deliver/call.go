package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/turn"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

const (
	// rotationsAtOnce bounds the fetches of rotations that begin at once, for each
	// source: one that is slow holds up no other. A Publish does not wait for them: a new
	// pod comes before a refresh.
	rotationsAtOnce = 16
	// rotationsShare is a namespace's, of what it leaves free: one alone has half of them.
	rotationsShare = 1
	// overdue is how long a fetch of a rotation keeps its place. One that takes longer, for
	// want of an answer mostly, goes on without: what it waits for is its own namespace's, and
	// holds up no other.
	overdue = 100 * time.Millisecond
)

// caller has the Fetcher ask sources: in turns, within memory, and unless they are known to be away.
type caller struct {
	*Config
	guard report.Guard
	set   *set
	sizes sizes

	mu sync.Mutex
	// rotations are the turns of rotations to fetch, by source.
	rotations map[string]*turn.Queue
}

func newCaller(config *Config, guard report.Guard, set *set) *caller {
	return &caller{
		Config: config, guard: guard, set: set,
		sizes: newSizes(config.Budget.LargestAnswer()), rotations: map[string]*turn.Queue{},
	}
}

// answer is what a delivery has to go by for one volume.
type answer struct {
	seam.Answer
	// reserved is the memory for it; nil where there was no call.
	reserved *reservation
}

func failed(err error) answer { return answer{Answer: seam.Answer{Err: err, Fetched: time.Now()}} }

// fetch has the group's source asked, and hands on the answer for each volume as it comes, each
// exactly once. It returns once all are done with. What cannot be had for a new pod may be
// remembered.
func (c *caller) fetch(ctx context.Context, group []task, hand func(i int, from answer)) {
	leave := func() {}
	err := c.guard.Run(subject(group[0].spec), func() (err error) { leave, err = c.enter(ctx, group); return err })
	if err != nil {
		for i := range group {
			hand(i, failed(err))
		}
		return
	}
	defer leave()
	call, err := c.admit(group)
	if err != nil {
		c.recall(ctx, group, err, hand)
		return
	}
	told := func(errs []error) {
		defer leave()
		c.called(ctx, group, call, errs)
	}
	if source, _ := c.Fetcher.Source(group[0].spec.Provider); source.IsGrouped || len(group) == 1 {
		c.ask(ctx, group, told, hand)
	} else {
		c.askEach(ctx, group, call, told, hand)
	}
}

// enter waits for the namespace's turn among the fetches of rotations. A new pod waits for none.
// Whoever entered has to leave, and may do so more than once.
func (c *caller) enter(ctx context.Context, group []task) (leave func(), err error) {
	spec := group[0].spec
	if _, found := c.Fetcher.Source(spec.Provider); !found {
		// The driver checks the attribute; a volume from before a restart may name a
		// provider that is configured no more.
		return nil, errors.New("no such source is configured on this node")
	}
	if group[0].podWaits {
		return func() {}, nil
	}
	leave, err = c.rotationsOf(spec.Provider).Take(ctx, spec.Pod.Namespace, 1)
	if err != nil {
		return nil, fmt.Errorf("waiting for a turn: %w", err)
	}
	free := sync.OnceFunc(leave)
	late := time.AfterFunc(overdue, free)
	return func() { late.Stop(); free() }, nil
}

func (c *caller) rotationsOf(source string) *turn.Queue {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rotations[source] == nil {
		c.rotations[source] = turn.New(rotationsAtOnce, rotationsShare)
	}
	return c.rotations[source]
}

// recall hands on what is remembered for pods that start, or why their source is not asked. What is
// remembered takes of the memory that is reserved for the answer, and is asked for again where it
// outgrows that.
func (c *caller) recall(ctx context.Context, group []task, why error, hand func(int, answer)) {
	source, _ := c.Fetcher.Source(group[0].spec.Provider)
	recalled := make([]bool, len(group))
	if in := group[0].reserved; in != nil && source.Remembers {
		work := c.workOf(group, in)
		work.IsAway = true
		taken := &taker{caller: c, group: group, in: in, hand: func(i int, from answer) {
			if recalled[i] = from.Err == nil || errors.Is(from.Err, seam.ErrOutgrown); recalled[i] {
				from.Offline = why
				hand(i, from)
			}
		}}
		_ = c.Fetcher.Fetch(ctx, work, taken) // what it does not hand on is not remembered
	}
	for i := range group {
		if !recalled[i] {
			hand(i, failed(why))
		}
	}
}

// workOf is what the group wants of its source, in the memory that is reserved for it.
func (c *caller) workOf(group []task, in *reservation) seam.Work {
	spec := group[0].spec
	work := seam.Work{Source: spec.Provider, Request: request(spec), Room: min(in.size, c.VolumeSize), Least: in.least}
	work.MaxBytes, work.Partial = in.size, in.isLast
	for _, t := range group {
		volume := seam.Volume{
			ID: t.spec.ID, Pod: t.spec.Pod, Format: t.spec.Format,
			IsLive: t.live, Failures: t.begun.Failures,
		}
		if t.live && (t.mayRefer || t.spec.Connections.All || t.spec.Variables.All) {
			volume.Shown = t.delivers()
		}
		work.Volumes = append(work.Volumes, volume)
	}
	return work
}

// delivers are the share's own entries that the volume delivers.
func (t task) delivers() []seam.Shown {
	shown := []seam.Shown{}
	for _, line := range t.own(t.shown()) {
		if line.State == layout.Delivered {
			shown = append(shown, seam.Shown{Name: line.Name(), Env: line.Env})
		}
	}
	return shown
}

// taker is the seam.Taker of one call.
type taker struct {
	*caller
	group []task
	// in is what is reserved for it, isOwn is set if for nobody else.
	in    *reservation
	isOwn bool
	told  func(errs []error)
	hand  func(i int, from answer)

	mu sync.Mutex
	// isTold is set once the call has ended, isOutgrown if it is to be made again, isTaken of each
	// volume that was handed on.
	isTold, isOutgrown bool
	isTaken            []bool
}

// Told implements seam.Taker.
func (t *taker) Told(how seam.Told) {
	t.mu.Lock()
	t.isTold, t.isOutgrown = true, how.Outgrown
	t.mu.Unlock()
	if how.Outgrown && t.isOwn {
		return // it is made again
	}
	if t.isOwn {
		t.in.divide(how.Each, len(t.group))
	}
	t.told(how.Errs)
}

// Place implements seam.Taker.
func (t *taker) Place() { t.in.take() }

// Take implements seam.Taker.
func (t *taker) Take(i int, given seam.Answer) {
	defer t.in.give()
	from := answer{given, t.in}
	if from.Offline != nil && t.set.isLive(t.group[i].of) { // by now
		from = answer{seam.Answer{Err: from.Offline, Fetched: from.Fetched}, t.in}
	}
	if from.Err == nil {
		t.set.refers(t.group[i], from.Refers)
	}
	t.mu.Lock()
	if t.isTaken == nil {
		t.isTaken = make([]bool, len(t.group))
	}
	t.isTaken[i] = true
	t.mu.Unlock()
	t.hand(i, from)
}

// end hands on for each volume that was not why it was not.
func (t *taker) end(err error) {
	t.mu.Lock()
	isTold, isTaken := t.isTold, slices.Grow(t.isTaken, len(t.group))[:len(t.group)]
	t.mu.Unlock()
	if !isTold {
		t.told(slices.Repeat([]error{err}, len(t.group)))
	}
	for i := range t.group {
		if !isTaken[i] {
			t.hand(i, answer{failed(err).Answer, t.in})
		}
	}
}
