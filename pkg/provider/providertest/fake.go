package providertest

import (
	"slices"
	"strconv"
	"sync"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Fake is a provider in memory whose behaviour a test sets. It passes the contract.
// It accepts every token that is not empty and not refused, and grants every entry
// that is not denied.
type Fake struct {
	mu       sync.Mutex
	version  int
	entries  map[entry.Name]entry.Entry
	denied   map[grant]bool
	tokens   map[string]bool // refused ones
	failure  error
	gate     chan struct{} // Fetch waits until it is closed; nil: does not wait
	calls    []Call
	watches  map[int]func(provider.Change)
	nextID   int
	watching chan struct{} // closed and renewed when a Watch begins
	blind    bool
}

// Call is one call that reached the fake.
type Call struct {
	Pods    []provider.Identity
	Request provider.Request
}

type grant struct {
	serviceAccount string
	name           entry.Name
}

var (
	_ provider.Provider     = (*Fake)(nil)
	_ provider.GroupFetcher = (*Fake)(nil)
	_ provider.Watcher      = (*Fake)(nil)
)

// NewFake returns a fake that holds nothing.
func NewFake() *Fake {
	return &Fake{
		entries:  map[entry.Name]entry.Entry{},
		denied:   map[grant]bool{},
		tokens:   map[string]bool{},
		watches:  map[int]func(provider.Change){},
		watching: make(chan struct{}),
	}
}

// SetConnection adds or replaces a connection, at a new version.
func (f *Fake) SetConnection(connection airflow.Connection) {
	f.set(entry.OfConnection(clone(connection), ""))
}

// SetVariable adds or replaces a variable, at a new version.
func (f *Fake) SetVariable(key, value string) {
	f.set(entry.OfVariable(key, secret.New(value), ""))
}

func (f *Fake) set(held entry.Entry) {
	f.mu.Lock()
	f.version++
	if held.State == entry.Delivered {
		held.Version = strconv.Itoa(f.version)
	}
	f.entries[held.Name()] = held
	f.mu.Unlock()
	f.Notify(provider.Change{Entries: []entry.Name{held.Name()}})
}

// Remove deletes an entry.
func (f *Fake) Remove(name entry.Name) {
	f.mu.Lock()
	delete(f.entries, name)
	f.mu.Unlock()
	f.Notify(provider.Change{Entries: []entry.Name{name}})
}

// Break makes an entry exist without being fit to serve.
func (f *Fake) Break(name entry.Name, detail string) {
	f.set(entry.Refused(name, entry.Invalid, detail))
}

// Deny takes an entry from a service account; Allow gives it back.
func (f *Fake) Deny(serviceAccount string, name entry.Name) { f.grant(serviceAccount, name, true) }

// Allow undoes Deny.
func (f *Fake) Allow(serviceAccount string, name entry.Name) { f.grant(serviceAccount, name, false) }

func (f *Fake) grant(serviceAccount string, name entry.Name, denied bool) {
	f.mu.Lock()
	f.denied[grant{serviceAccount, name}] = denied
	f.mu.Unlock()
	f.Notify(provider.Change{Entries: []entry.Name{name}})
}

// RefuseToken makes calls with token unauthenticated.
func (f *Fake) RefuseToken(token secret.Text) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[token.Reveal()] = true
}

// Fail makes every call fail with err, which should wrap a sentinel; nil ends that.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
}

// Block makes every call wait until release is called or its context ends.
func (f *Fake) Block() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gate := make(chan struct{})
	f.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

// WithoutWatch makes Watch unsupported.
func (f *Fake) WithoutWatch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blind = true
}

// Calls is every call so far, blocked and failed ones too.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}
