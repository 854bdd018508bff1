package audit

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
)

const (
	// LongRun is how many bytes a second one caller may take in the long run, where nobody says
	// otherwise: the records of a thousand entries each minute. With what is written of refusals beside
	// them it is less than 10 KiB a second.
	LongRun = 9500
	// AtOnce is for how long one may save up: 8.5 MB, where nobody says otherwise, which are the records
	// of a thousand entries that are fetched fifteen times.
	AtOnce = 15 * time.Minute
)

// A budget has so many tables of so many debts: 1 MiB.
const tables, places = 4, 1 << 15

// Budget bounds what the log has of one caller, who may ask for what he may have again and again. Each
// answer is recorded, so a caller who has filled his share is given nothing until he has paid that off,
// by so many bytes a second. It is safe for concurrent use.
//
// It takes the same memory however many callers there are. A caller has a place in each of some tables,
// by keys that nobody knows, and owes the least of the debts there: all are more than his own only if he
// meets, in each, somebody who owes.
type Budget struct {
	bytesPerSecond float64
	began          time.Time
	seeds          [tables]maphash.Seed

	mu     sync.Mutex
	paidAt [tables][places]time.Duration // since began: when the debt is paid off
}

// NewBudget is for callers of whom nobody has asked for anything yet.
func NewBudget(bytesPerSecond int) *Budget {
	b := &Budget{bytesPerSecond: float64(bytesPerSecond), began: time.Now()}
	for table := range b.seeds {
		b.seeds[table] = maphash.MakeSeed()
	}
	return b
}

// spender is whom a share belongs to: a pod, or who shows a service account's token without one, or a
// task instance.
type spender struct{ cluster, namespace, account, pod, tenant, subject string }

func (b *Budget) placesOf(who auth.Caller) (at [tables]uint64) {
	own := spender{who.Cluster, who.Namespace, who.ServiceAccount, who.PodUID, who.Tenant, who.Subject}
	for table, seed := range b.seeds {
		at[table] = maphash.Comparable(seed, own) % places
	}
	return at
}

// Wait is how long until the caller may be given something; 0 if that is now. Calls that are under way
// at once may each be let, and are all owed for.
func (b *Budget) Wait(who auth.Caller) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.debt(b.placesOf(who), time.Since(b.began))-AtOnce)
}

// Spend notes that what the caller is given has taken so many bytes of the log.
func (b *Budget) Spend(who auth.Caller, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, at := time.Since(b.began), b.placesOf(who)
	paidAt := now + b.debt(at, now) + b.lasting(bytes)
	for table := range b.paidAt {
		own := &b.paidAt[table][at[table]]
		*own = max(*own, paidAt)
	}
}

// debt is what is owed at all of the places, as the time that paying it off takes.
func (b *Budget) debt(at [tables]uint64, now time.Duration) time.Duration {
	least := b.paidAt[0][at[0]]
	for table := range b.paidAt {
		least = min(least, b.paidAt[table][at[table]])
	}
	return max(0, least-now)
}

// lasting is how long so many bytes are paid off.
func (b *Budget) lasting(bytes int) time.Duration {
	return time.Duration(float64(bytes) / b.bytesPerSecond * float64(time.Second))
}
