package budget

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// unlimited is the size of a pool without a limit.
const unlimited = math.MaxInt64

// pool is memory that namespaces share. Three quarters of it are anyone's: with one executor
// all tasks of a node are of one namespace. The last quarter is for namespaces that hold little
// of the pool, which is an eighth of the quarter: eight of them find room in it though another
// namespace has taken all the rest. With the chart's limit that is 3 MiB of volumes, or thirty
// pods of ten entries.
type pool struct {
	size, used  int64
	byNamespace map[string]int64
}

func newPool(size int64) pool { return pool{size: size, byNamespace: map[string]int64{}} }

// anyones is the part that is not kept.
func (p *pool) anyones() int64 { return p.size - p.size/4 }

// little is the most that a namespace holds of the part that is kept.
func (p *pool) little() int64 { return p.size / 4 / 8 }

// room is how much more the namespace may take.
func (p *pool) room(namespace string) int64 {
	return max(0, p.anyones()-p.used, p.keptRoom(namespace))
}

// keptRoom is how much more the namespace may take of the whole pool, as one that holds little.
func (p *pool) keptRoom(namespace string) int64 {
	return max(0, min(p.size-p.used, p.little()-p.byNamespace[namespace]))
}

// add takes in that the namespace holds so much more, or less.
func (p *pool) add(namespace string, bytes int64) {
	p.used += bytes
	if p.byNamespace[namespace] += bytes; p.byNamespace[namespace] == 0 {
		delete(p.byNamespace, namespace)
	}
}

// Part is what one namespace holds.
type Part struct {
	Namespace string
	Bytes     int64
}

// parts are all that hold anything, the largest first.
func (p *pool) parts() []Part {
	parts := make([]Part, 0, len(p.byNamespace))
	for _, namespace := range slices.Sorted(maps.Keys(p.byNamespace)) {
		parts = append(parts, Part{namespace, p.byNamespace[namespace]})
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return parts
}
