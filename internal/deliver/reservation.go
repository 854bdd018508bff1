package deliver

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/cache"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	// smallAnswer is what memory is first reserved for: it holds what an ordinary pod asks for.
	// An answer that does not fit is dropped, and asked for again with so many times the memory.
	smallAnswer, growth = 64 << 10, 8
	// entryBytes is what an entry is reckoned at besides its values, in an answer and in a volume.
	entryBytes, entryPages = 1 << 10, 5 << 10
	// volumesOfTurn bounds the volumes of one answer that memory is taken for at once.
	volumesOfTurn = 32
	// referenceBytes is what a reference is expected to bring: a key file.
	referenceBytes = 4 << 10
	// sizesFor is how long it is remembered how much the answer to a request takes, and mostSizes
	// for how many requests.
	sizesFor, mostSizes = time.Hour, 4 << 10
)

// errOutgrown: what a delivery brings takes more memory than was reserved for it.
var errOutgrown = errors.New("more memory is needed than was reserved")

// reservation is the memory that the deliveries of one call share.
type reservation struct {
	*budget.Turn
	// size is the most bytes that one source may bring. isLast is set if there is no memory for
	// more.
	size   int64
	isLast bool
	// each is what there is memory for in each volume.
	each int64
	// places has one for each volume that may be filled at once, users are those to be filled.
	places chan struct{}
	users  atomic.Int32
}

// sizes remembers how much requests bring, by groupKey.
type sizes struct {
	largest int64
	known   *cache.Cache[string, int64]
}

func newSizes(largest int64) sizes {
	return sizes{largest, cache.New[string, int64](mostSizes, nil)}
}

// first is the size to begin with: as far as is known, that of the answer and of what the
// volumes show, which a withdrawal reads back.
func (f *fetcher) first(tasks []task) int64 {
	size := max(smallAnswer, f.shown(tasks))
	for _, t := range tasks {
		size = max(size, t.spec.names()*entryBytes)
		if known, found := f.sizes.known.Get(t.key); found {
			size = max(size, known)
		}
	}
	return min(size, f.sizes.largest)
}

// shown is about what the largest of the volumes shows, each value once.
func (f *fetcher) shown(tasks []task) (largest int64) {
	for _, t := range tasks {
		if t.live {
			largest = max(largest, (f.Budget.Holds(t.spec.TargetPath)-t.spec.names()*entryPages)/2)
		}
	}
	return largest
}

func (v Volume) names() int64 { return int64(len(v.Connections.Names) + len(v.Variables.Names)) }

// next is the size to go on with after one that did not do, and is remembered for the tasks.
func (s sizes) next(tasks []task, size int64) int64 {
	size = min(size*growth, s.largest)
	for _, t := range tasks {
		s.known.Put(t.key, size, 1, sizesFor)
	}
	return size
}

// reserve waits for memory for what so many sources bring, as long as a fetch may take.
func (f *fetcher) reserve(ctx context.Context, spec Volume, size int64, sources int) (*reservation, error) {
	entered, err := f.Budget.Enter(ctx, f.FetchTimeout, spec.Pod.Namespace, budget.Weight(size))
	if err != nil {
		return nil, err
	}
	size /= int64(sources)
	return &reservation{Turn: entered, size: size, each: size, isLast: size*int64(sources) >= f.sizes.largest}, nil
}

// isOutgrown reports whether the outcomes take more memory than was reserved, where more can be.
func (t *reservation) isOutgrown(group []task, outcomes []provider.Outcome) bool {
	return !t.isLast && (mayComeInParts(group, outcomes) || bytesOfAll(outcomes) > t.size)
}

// divide keeps of the memory, or takes more of what is free, as much as the volumes take to which
// the outcomes go and that show as much as shown. If there is not enough for all at once, they
// take turns. What references bring comes on top.
func (t *reservation) divide(outcomes []provider.Outcome, shown int64) {
	if !t.isLast {
		t.each = min(t.size, max(largestOf(outcomes)+referenceBytes*mostReferences(outcomes), shown))
		if t.size > smallAnswer { // less did not do
			t.each = max(t.each, t.size/growth)
		}
	}
	wanted := min(int64(len(outcomes)), volumesOfTurn)
	volume := budget.Weights(t.each, 1) - budget.Weights(t.each, 0)
	atOnce := max(1, (t.Resize(budget.Weights(t.each, wanted))-budget.Weights(t.each, 0))/volume)
	t.places = make(chan struct{}, atOnce)
	t.users.Store(int32(len(outcomes)))
}

// mostReferences is how many entries of an outcome may have one.
func mostReferences(outcomes []provider.Outcome) (most int64) {
	for _, outcome := range outcomes {
		count := int64(0)
		for _, e := range outcome.Entries {
			if e.Kind == entry.Connection && e.State == entry.Delivered {
				count++
			}
		}
		most = max(most, count)
	}
	return most
}

// room is what references may bring beside the entries.
func (t *reservation) room(entries []entry.Entry) int64 {
	if t == nil {
		return math.MaxInt64
	}
	return t.each - bytesOf(entries)
}

// use does what one volume needs the memory for, and gives it back after the last one. Without
// a reservation there was no answer.
func (t *reservation) use(do func()) {
	if t == nil {
		do()
		return
	}
	t.places <- struct{}{}
	defer func() {
		<-t.places
		if t.users.Add(-1) == 0 {
			t.Leave()
		}
	}()
	do()
}

// largestOf is what the largest of the outcomes takes.
func largestOf(outcomes []provider.Outcome) (largest int64) {
	for _, outcome := range outcomes {
		largest = max(largest, bytesOf(outcome.Entries))
	}
	return largest
}

// bytesOfAll is what the outcomes take together. Pods whose outcomes are equal share them.
func bytesOfAll(outcomes []provider.Outcome) (bytes int64) {
	if len(outcomes) == 1 {
		return bytesOf(outcomes[0].Entries)
	}
	counted := map[*entry.Entry]bool{}
	for _, outcome := range outcomes {
		if len(outcome.Entries) > 0 && !counted[&outcome.Entries[0]] {
			counted[&outcome.Entries[0]] = true
			bytes += bytesOf(outcome.Entries)
		}
	}
	return bytes
}

func bytesOf(entries []entry.Entry) int64 {
	bytes := int64(len(entries)) * entryBytes
	for value := range values(entries) {
		bytes += int64(value.Len())
	}
	return bytes
}

// callReserved makes one call for the pods, with memory reserved for what it brings: a little at
// first, and more if that does not do.
func (f *fetcher) callReserved(ctx context.Context, group []task) (outcomes []provider.Outcome, kept *reservation) {
	err := f.guard.run(group[0].spec, func() (err error) {
		for size := f.first(group); ; size = f.sizes.next(group, size) {
			if outcomes, kept, err = f.callWithin(ctx, group, size); !errors.Is(err, errOutgrown) {
				return err
			}
		}
	})
	if err != nil {
		return slices.Repeat([]provider.Outcome{{Err: err}}, len(group)), nil
	}
	return outcomes, kept
}

// callWithin makes one call in so much memory, or fails by errOutgrown. A reservation that it does
// not return it gives back, whatever happens.
func (f *fetcher) callWithin(ctx context.Context, group []task, size int64) (outcomes []provider.Outcome, kept *reservation, err error) {
	made, err := f.reserve(ctx, group[0].spec, size, 1)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if kept == nil {
			made.Leave()
		}
	}()
	outcomes = f.call(ctx, group, made)
	if made.isOutgrown(group, outcomes) {
		return nil, nil, errOutgrown
	}
	made.divide(outcomes, f.shown(group))
	return outcomes, made, nil
}

// isUnasked tells a call that was not made, since there was no memory for it or its caller did not
// wait, from one that was.
func isUnasked(err error) bool {
	isGivenUp := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	return isExhausted(err) || isGivenUp && !errors.Is(err, provider.ErrUnavailable)
}

func isExhausted(err error) bool {
	var exhausted *budget.Exhausted
	return errors.As(err, &exhausted)
}
