// Package budget reckons the memory of a node's driver, so that the driver refuses a volume
// before the kernel kills it. What a pod's volume holds counts as the driver's memory, and goes
// on to count after the driver has ended:
//
//	limit   of the driver's control group
//	 = own      what the program takes while it does nothing
//	 + work     kept for what is being fetched, rendered and written (turn.go)
//	 + volumes  what the volumes hold (volume.go)
//
// A new volume is admitted to its part alone, so that what runs can always be rotated. Of both
// parts a quarter is kept for namespaces that hold little (pool.go).
package budget

import (
	"fmt"
	"sync"
)

const (
	mebibyte = 1 << 20
	// own is reckoned from what a driver with all sources was seen to take: 15 MiB of heap and
	// stacks, the part of the program's own pages that it cannot do without, and what the kernel
	// charges for sockets and page tables.
	own = 48 * mebibyte
	// perByte is what a byte of an answer takes until it stands in a volume: in the message
	// (twice, while it is read), as a value, as its file and in the file for Airflow (its text,
	// and the whole file), garbage of all these, and twice on the tmpfs while files are swapped.
	// With the collector always running (GOGC=5) a driver that delivered 7 MiB from core was seen to
	// take 6.3 to 6.8 for a byte, and 2 more while it swapped. The rest is for the garbage that it has
	// by default.
	perByte = 10
	// perDelivery is what a delivery takes whatever it brings.
	perDelivery = 128 << 10
	// perVolume is what each volume takes that is filled from it.
	perVolume = 16 << 10
	// kernel is what is charged besides the heap and the volumes.
	kernel = 24 * mebibyte
)

// PerEntry is what an entry of an answer is reckoned at besides its values.
const PerEntry = 1 << 10

// LargestAnswer is the most that a source may answer at once where there is memory for it.
const LargestAnswer = 8 * mebibyte

// Weight is the memory that is reckoned with for an answer of at most so many bytes, from
// before it is asked for until it stands in its volume.
func Weight(answer int64) int64 { return Weights(answer, 1) }

// Weights is the same for an answer that goes into so many volumes at once.
func Weights(answer, volumes int64) int64 {
	return perDelivery + volumes*(perVolume+perByte*answer)
}

// Budget is the memory of one driver. Make it with New; it is safe for concurrent use.
type Budget struct {
	mu     sync.Mutex
	limit  int64
	answer int64
	// work and volumes are the two parts.
	work, volumes pool
	// holdings are what volumes hold, by target path.
	holdings map[string]holding
	queue    queue
	// leastLeft is what was left behind at least when that was last measured.
	isMeasured bool
	leastLeft  int64
	// collect sets the limit of Go's collector, collectAt is what was set last.
	collect   func(limit int64)
	collectAt int64
}

// New returns a Budget of the memory that limit allows; 0 for no limit. collect is told how
// large the heap may grow, whenever that changes by much; it may be nil.
func New(limit int64, collect func(limit int64)) *Budget {
	b := &Budget{limit: limit, answer: LargestAnswer, holdings: map[string]holding{}, collect: collect}
	b.work, b.volumes = newPool(unlimited), newPool(unlimited)
	if limit == 0 {
		return b
	}
	b.queue.limited = true
	rest := max(limit-own, limit/4)
	// Three quarters of what is kept for work hold the largest answer.
	b.work = newPool(min((Weight(LargestAnswer)*4+2)/3, rest*3/5))
	b.volumes = newPool(rest - b.work.size)
	b.answer = max(0, min(LargestAnswer, (b.work.anyones()-perDelivery-perVolume)/perByte))
	b.followLimit()
	return b
}

// LargestAnswer is the most bytes of an answer that there is memory for.
func (b *Budget) LargestAnswer() int64 { return b.answer }

// VolumeSize is the most that the files of one volume may take of the size given: a volume
// holds each value twice, and what cannot be fetched again cannot be rotated.
func (b *Budget) VolumeSize(asked int64) int64 { return min(asked, 2*b.answer) }

// Volumes is how many volumes of that size find room beside each other at least, though all are of
// one namespace.
func (b *Budget) Volumes(size int64) int64 { return b.volumes.anyones() / size }

// followLimit has the collector keep the heap within what the volumes leave of the limit. It
// tells of no step below four mebibytes, for each stops the program.
func (b *Budget) followLimit() {
	if b.limit == 0 || b.collect == nil {
		return
	}
	const step = 4 * mebibyte
	left := max(own/2, b.limit-kernel-b.volumes.used) / step * step
	if left != b.collectAt {
		b.collectAt = left
		b.collect(left)
	}
}

// Bytes is a number of bytes as people read it.
type Bytes int64

func (n Bytes) String() string {
	if n < mebibyte {
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/mebibyte)
}
