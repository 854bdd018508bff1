package audit

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"
)

// What refusals may take of the log. Whoever asks for what he may not have, and be it without
// any token, must not be able to fill a disk or to rotate away what others were given.
const (
	// interval is how long refusals are counted before the counts are written.
	interval = 10 * time.Second
	// rate and burst bound those of all sorts, in bytes.
	rate, burst = 4 << 10, 128 << 10
	// mostTallies bounds the sorts that are told apart within an interval, and mostSums
	// those that have a record of their own at its end.
	mostTallies, mostSums = 1 << 10, 64
)

// InFull is how many refusals of one sort an interval shows each by itself. A caller may give further ones
// as one record with their Count.
const InFull = 16

// refusals decides which refusals are written each by itself, and counts the others. It
// belongs to the holder of the log's turn.
type refusals struct {
	room    func() bool // tells whether the sink has room for more than what was given
	tallies map[tallyKey]*tally
	others  tally
	budget  float64
	filled  time.Time
	timer   *time.Timer
}

// tallyKey is a sort of refusal: who is refused, and how.
type tallyKey struct {
	peer                                   string
	namespace, account, tenant, dag, named string
	decision                               Decision
}

type tally struct {
	first   Record
	written int
	count   int
}

func newRefusals(room func() bool) refusals {
	return refusals{room: room, tallies: map[tallyKey]*tally{}, budget: burst, filled: time.Now()}
}

// sortOf tells callers apart, and of those who are nobody the peers. A peer's ports are one.
func sortOf(r *Record) tallyKey {
	if r.Decision == Unauthenticated {
		return tallyKey{peer: host(r.Peer), decision: r.Decision}
	}
	return tallyKey{
		namespace: r.Namespace, account: r.ServiceAccount, tenant: r.Tenant, dag: r.DAG, named: r.Certificate,
		decision: r.Decision,
	}
}

func host(peer string) string {
	name, _, err := net.SplitHostPort(peer)
	if err != nil {
		return peer
	}
	return name
}

// admit tells whether the refusal is to be written by itself. At the interval's end sum is
// called.
func (r *refusals) admit(record *Record, sum func()) bool {
	if r.timer == nil {
		r.later(sum)
	}
	own := r.of(record)
	if record.Count == 0 && own.written < InFull && r.take(record) && r.room() {
		own.written++
		return true
	}
	if own.count == 0 {
		own.first = *record
		own.first.Entry, own.first.Detail = "", "" // which the sum does not tell, and may be long
	}
	own.count += max(record.Count, 1)
	return false
}

func (r *refusals) of(record *Record) *tally {
	key := sortOf(record)
	own := r.tallies[key]
	switch {
	case own != nil:
		return own
	case len(r.tallies) >= mostTallies:
		r.others.written = InFull
		return &r.others
	}
	own = &tally{}
	r.tallies[key] = own
	return own
}

// take tells whether the record's line is within what refusals may take. JSON writes some characters at
// six times their length.
func (r *refusals) take(record *Record) bool {
	now := time.Now()
	r.budget = min(burst, r.budget+rate*now.Sub(r.filled).Seconds())
	r.filled = now
	if float64(len(record.Entry)+len(record.Detail)) > r.budget {
		return false
	}
	size := float64(len(appendLine(nil, record)))
	if r.budget < size {
		return false
	}
	r.budget -= size
	return true
}

// sums are the records of what was counted: of the sorts with most by themselves, of the
// rest together.
func (r *refusals) sums() []Record {
	counted := slices.SortedFunc(maps.Values(r.tallies), func(a, b *tally) int { return cmp.Compare(b.count, a.count) })
	rest := r.others.count
	var sums []Record
	for i, each := range counted {
		switch {
		case each.count == 0:
		case i < mostSums:
			sums = append(sums, each.sum())
		default:
			rest += each.count
		}
	}
	if rest > 0 {
		sums = append(sums, Record{
			Time: time.Now().UTC(), Decision: Denied, Count: rest,
			Detail: fmt.Sprintf("refusals within %v of more callers than are told apart", interval),
		})
	}
	return sums
}

// sum tells what is common to a sort, and nothing of the single refusal.
func (t *tally) sum() Record {
	sum := Record{
		Time: time.Now().UTC(), Method: t.first.Method, Peer: t.first.Peer, Decision: t.first.Decision, Count: t.count,
		Detail: fmt.Sprintf("further refusals within %v", interval),
	}
	sum.Namespace, sum.ServiceAccount = t.first.Namespace, t.first.ServiceAccount
	sum.Tenant, sum.DAG, sum.Certificate = t.first.Tenant, t.first.DAG, t.first.Certificate
	if t.first.Decision == Unauthenticated {
		sum.Peer = host(t.first.Peer)
	}
	return sum
}

func (r *refusals) later(sum func()) { r.timer = time.AfterFunc(interval, sum) }

func (r *refusals) forget() {
	clear(r.tallies)
	r.others = tally{}
	r.timer = nil
}

// stop tells whether an interval was under way. Its end may be at hand, and then finds
// nothing that is counted.
func (r *refusals) stop() bool {
	if r.timer == nil {
		return false
	}
	r.timer.Stop()
	return true
}
