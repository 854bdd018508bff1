package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/cache"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

const (
	// smallAnswer is what memory is first reserved for: it holds what an ordinary pod asks for.
	// An answer that does not fit is dropped, and asked for again with so many times the memory.
	smallAnswer, growth = 64 << 10, 8
	// entryPages is what an entry is reckoned at besides its values in a volume.
	entryPages = 5 << 10
	// volumesOfTurn bounds the volumes of one answer that memory is taken for at once.
	volumesOfTurn = 32
	// sizesFor is how long it is remembered how much the answer to a request takes, and mostSizes
	// for how many requests.
	sizesFor, mostSizes = time.Hour, 4 << 10
)

// reservation is the memory that the deliveries of one call share.
type reservation struct {
	*budget.Turn
	// size is the most bytes that one source may bring. isLast is set if there is no memory for
	// more.
	size   int64
	isLast bool
	// least is what is reckoned for each volume at least.
	least int64
	// places has one for each volume that may be filled at once; nil if there is but one.
	places chan struct{}
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
func (c *caller) first(tasks []task) int64 {
	size := max(smallAnswer, c.shown(tasks))
	for _, t := range tasks {
		size = max(size, t.spec.names()*budget.PerEntry)
		if known, found := c.sizes.known.Get(t.key); found {
			size = max(size, known)
		}
	}
	return min(size, c.sizes.largest)
}

// shown is about what the largest of the volumes shows, each value once.
func (c *caller) shown(tasks []task) (largest int64) {
	for _, t := range tasks {
		if t.live {
			largest = max(largest, (c.Budget.Holds(t.spec.TargetPath)-t.spec.names()*entryPages)/2)
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

// reserve waits for memory for what so many sources bring, as long as a fetch of any source may take:
// who gives up sooner may never have its turn after another namespace's.
func (c *caller) reserve(ctx context.Context, spec Volume, size int64, sources int) (*reservation, error) {
	entered, err := c.Budget.Enter(ctx, c.longestFetch(), spec.Pod.Namespace, budget.Weight(size))
	if err != nil {
		return nil, err
	}
	each := size / int64(sources)
	return &reservation{Turn: entered, size: each, least: each, isLast: size >= c.sizes.largest}, nil
}

// least is what is reckoned for each volume of a call of its own, whatever the answer is: less did
// not do, or the volumes show as much.
func (c *caller) least(group []task, in *reservation) int64 {
	least := c.shown(group)
	if in.size > smallAnswer {
		least = max(least, in.size/growth)
	}
	return min(least, in.size)
}

// divide keeps of the memory, or takes more of what is free, as much as so many volumes take. If
// there is not enough for all at once, they take turns. What each takes is bounded by what was
// reserved.
func (t *reservation) divide(each int64, volumes int) {
	each = max(0, min(each, t.size))
	wanted := min(int64(volumes), volumesOfTurn)
	volume := budget.Weights(each, 1) - budget.Weights(each, 0)
	atOnce := max(1, (t.Resize(budget.Weights(each, wanted))-budget.Weights(each, 0))/volume)
	t.places = make(chan struct{}, atOnce)
}

// take waits until one more volume may be filled.
func (t *reservation) take() {
	if t.places != nil {
		t.places <- struct{}{}
	}
}

// give is the end of what began with take.
func (t *reservation) give() {
	if t.places != nil {
		<-t.places
	}
}

// longestFetch is the longest that any fetch of the node takes.
func (c *caller) longestFetch() (longest time.Duration) {
	for _, name := range c.Fetcher.Sources() {
		source, _ := c.Fetcher.Source(name)
		longest = max(longest, source.FetchFor)
	}
	return longest
}

// isUnasked tells a call that was not made, since there was no memory for it, its caller did not wait or
// nobody was there to make it, from one that was.
func isUnasked(err error) bool {
	isGivenUp := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	return isExhausted(err) || errors.Is(err, seam.ErrAway) || isGivenUp && !errors.Is(err, call.ErrUnavailable)
}

func isExhausted(err error) bool {
	var exhausted *budget.Exhausted
	return errors.As(err, &exhausted)
}
