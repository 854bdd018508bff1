package budget

import "fmt"

// holding is what one volume holds.
type holding struct {
	namespace string
	// bytes are what it was last seen to take, shown what the files that it shows were
	// reckoned at. The rest are files that the pod holds open though they are gone.
	bytes, shown int64
}

// Exhausted says that there is no memory for what a pod asks for. Its text names no other
// namespace.
type Exhausted struct {
	// Namespace is the pod's, Held what it holds already.
	Namespace  string
	Need, Held int64
	// Work is set if the memory is short that deliveries under way share.
	Work bool
}

func (e *Exhausted) Error() string {
	const remedy = "ask for fewer or smaller entries, wait until pods of this node end, or have the driver's memory limit raised"
	if e.Work {
		return fmt.Sprintf("this node's driver has no memory free now for a delivery that takes up to %v (those of namespace %s that are under way have %v): it is tried again",
			Bytes(e.Need), e.Namespace, Bytes(e.Held))
	}
	return fmt.Sprintf("this node's driver has no memory left for a volume of %v (those of namespace %s take %v on this node): %s",
		Bytes(e.Need), e.Namespace, Bytes(e.Held), remedy)
}

// Recall takes in a volume that an earlier process made: its pages still count. Whose it is
// Claim tells.
func (b *Budget) Recall(target string, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(target, holding{bytes: bytes, shown: bytes})
}

// Claim takes in whose the volume is.
func (b *Budget) Claim(target, namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if held, known := b.holdings[target]; known && held.namespace != namespace {
		held.namespace = namespace
		b.set(target, held)
	}
}

// Admits reports, before anything is fetched, whether a new volume of the namespace may have as
// much as any takes.
func (b *Budget) Admits(namespace string) error {
	const least = 64 << 10
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.volumes.room(namespace) >= least {
		return nil
	}
	return b.exhausted(namespace, least)
}

// Take reserves memory for the files that the volume is to show, need bytes, where it takes now
// bytes at present. A new volume gets all of it or an *Exhausted. A live one need not grow: it
// gets as much as there is, and an *Exhausted only while its pod holds files open that are gone,
// which no file that leaves makes room for.
func (b *Budget) Take(target, namespace string, need, now int64, isNew bool) (granted int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.holdings[target]
	if isNew {
		held, now = holding{}, 0
	}
	held.namespace, held.bytes = namespace, now
	b.set(target, held)
	more, isHeldOpen := need-min(held.shown, now), now-held.shown > openTolerance
	if isHeldOpen {
		more = need // what is shown now may stay as well
	}
	if room := b.volumes.room(namespace); more > room {
		if isNew || isHeldOpen {
			return 0, b.exhausted(namespace, need)
		}
		need, more = need-(more-room), room
	}
	held.bytes, held.shown = now+max(0, more), need
	b.set(target, held)
	return need, nil
}

// openTolerance is what readers may hold open of a generation that is just going.
const openTolerance = 64 << 10

// Hold takes in what the volume takes now. One that takes nothing is forgotten.
func (b *Budget) Hold(target string, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.holdings[target]
	held.bytes = bytes
	b.set(target, held)
}

// Holds is what the volume is reckoned to take.
func (b *Budget) Holds(target string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.holdings[target].bytes
}

// leftBehind is the holding of pages that no volume has any more: somebody still holds files open
// that are gone with their volume. No target path is empty.
const leftBehind = ""

// mostUnseen is what may be charged and belong to nobody in particular, since the kernel counts
// for each CPU by itself.
const mostUnseen = mebibyte

// Measure takes in what the kernel charges for pages of tmpfs, which read returns. What is neither a
// volume's, nor of deliveries under way, was left behind by volumes of this driver or an earlier
// one. The kernel may tell it a little late: what is left has to be so twice.
func (b *Budget) Measure(read func() (charged int64, found bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	charged, found := read()
	if !found {
		return
	}
	left := b.holdings[leftBehind].bytes
	most := charged - (b.volumes.used - left)
	if most < mostUnseen {
		most = 0
	}
	least := max(0, most-b.work.used)
	if b.isMeasured {
		least, b.leastLeft = min(least, b.leastLeft), least
	} else {
		b.isMeasured, b.leastLeft = true, least
	}
	b.set(leftBehind, holding{bytes: min(max(left, least), most)})
}

// set changes what is held. Deliveries that wait may have their turn then.
func (b *Budget) set(target string, held holding) {
	before := b.holdings[target]
	b.volumes.add(before.namespace, -before.bytes)
	b.volumes.add(held.namespace, held.bytes)
	if held.bytes == 0 {
		delete(b.holdings, target)
	} else {
		b.holdings[target] = held
	}
	b.followLimit()
	b.grant()
}

func (b *Budget) exhausted(namespace string, need int64) *Exhausted {
	return &Exhausted{Namespace: namespace, Need: need, Held: b.volumes.byNamespace[namespace]}
}
