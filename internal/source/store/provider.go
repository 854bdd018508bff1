package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	// fetchFor is for a thousand calls in turns with others', and less than kubelet waits.
	fetchFor = 100 * time.Second
	// pollEvery and keptFor together are 30 s at most, with the jitter of a tenth.
	pollEvery = 22 * time.Second
	// entryBytes is what an entry takes besides its value.
	entryBytes = 1 << 10
	// atOnce is how many calls are under way, or wait for one that is, before room is made out for more.
	atOnce = 16
	// mostListed bounds what "*" brings, and listBytes is what telling of it may take in any case: a login is part of it.
	mostListed, listBytes = 10_000, 64 << 10
)

// Provider implements provider.Provider over a store.
type Provider struct {
	name     string
	store    Store
	door     *secretmanager.Door[Session]
	reader   *reader
	apart    bool
	versions provider.Versions
}

var (
	_ provider.GroupFetcher = (*Provider)(nil)
	_ provider.Paced        = (*Provider)(nil)
	_ provider.Polled       = (*Provider)(nil)
)

// New returns the Provider of a store that is called name. Of the config it takes what a Door
// does. Close it, which closes the store.
func New(name string, store Store, config secretmanager.Config) *Provider {
	door := secretmanager.NewDoor(name, store, config)
	return &Provider{name, store, door, newReader(store, door), false, provider.NewVersions()}
}

// NewApart is New where teams are kept apart: pods are of the team that TeamAnnotation names.
func NewApart(name string, store Store, config secretmanager.Config) *Provider {
	made := New(name, apart{store}, config)
	made.apart = true
	return made
}

// Close waits for calls under way and closes the store.
func (p *Provider) Close() error {
	p.reader.wait()
	return p.door.Close()
}

// FetchFor implements provider.Paced.
func (*Provider) FetchFor() time.Duration { return fetchFor }

// PollEvery implements provider.Polled.
func (*Provider) PollEvery() time.Duration { return pollEvery }

// FetchGroup implements provider.GroupFetcher: pods of one service account, which is all that a
// store tells apart, share what one of them is given.
func (p *Provider) FetchGroup(ctx context.Context, pods []provider.Identity, request provider.Request) []provider.Outcome {
	outcomes := make([]provider.Outcome, len(pods))
	answered := map[[2]string]provider.Outcome{}
	for i, pod := range pods {
		account := [2]string{pod.Namespace, pod.ServiceAccount}
		outcome, found := answered[account]
		if !found || !pod.IsAttested() || errors.Is(outcome.Err, provider.ErrUnauthenticated) {
			outcome.Entries, outcome.Err = p.Fetch(ctx, pod, request)
		}
		if pod.IsAttested() {
			answered[account] = outcome
		}
		outcomes[i] = outcome
	}
	return outcomes
}

// Fetch implements provider.Provider.
func (p *Provider) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	caller, err := p.door.Admit(ctx, pod, "", "")
	if err != nil {
		return nil, p.whole(ctx, err)
	}
	team, err := p.teamOf(caller.Subject)
	if err != nil {
		return nil, p.whole(ctx, err)
	}
	made := &fetch{Provider: p, caller: caller, team: team, request: request}
	for _, kind := range []entry.Kind{entry.Connection, entry.Variable} {
		if err := made.ask(ctx, kind); err != nil {
			return nil, err
		}
	}
	if err := made.read(ctx); err != nil {
		return nil, err
	}
	return made.entries, nil
}

// fetch is one Fetch under way.
type fetch struct {
	*Provider
	caller  secretmanager.Caller
	team    Team
	request provider.Request
	// entries are those asked for, in their order, and wanted the names that are still to be
	// read for those of the same place.
	entries []entry.Entry
	wanted  [][]string
	taken   int64
	// oneByOne is set once what was read at once did not fit.
	oneByOne bool
}

// ask adds what is asked for of a kind.
func (f *fetch) ask(ctx context.Context, kind entry.Kind) error {
	selection := f.request.Connections
	if kind == entry.Variable {
		selection = f.request.Variables
	}
	ids := selection.Names
	if selection.All {
		if f.team.Apart {
			return f.whole(ctx, Unlisted(`"*" cannot be asked where teams are kept apart`))
		}
		var err error
		if ids, err = f.list(ctx, kind); err != nil {
			return err
		}
	}
	f.wanted, f.entries = slices.Grow(f.wanted, len(ids)), slices.Grow(f.entries, len(ids))
	for _, id := range ids {
		name := entry.Name{Kind: kind, ID: id}
		names, reason := f.store.Names(f.team, name)
		f.wanted = append(f.wanted, names)
		f.entries = append(f.entries, entry.Refused(name, entry.Missing, reason))
	}
	return nil
}

// list is what the pod may list, in order.
func (f *fetch) list(ctx context.Context, kind entry.Kind) ([]string, error) {
	ids, err := secretmanager.Call(secretmanager.InPages(ctx), f.door, f.caller, "", func(ctx context.Context, session Session) ([]string, error) {
		lister, can := session.(Lister)
		if !can {
			return nil, &secretmanager.Failure{Kind: provider.ErrDenied, Text: `"*" cannot be asked of this store; name the entries`}
		}
		if f.request.MaxBytes > 0 { // for each attempt anew
			ctx = secretmanager.Within(ctx, max(f.request.MaxBytes, listBytes))
		}
		return lister.List(ctx, kind)
	})
	if isTooLarge(err) {
		return nil, f.tooMany("more than there is memory for")
	}
	if err != nil {
		return nil, f.whole(ctx, err)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	most := f.request.MaxBytes / entryBytes
	if f.request.MaxBytes == 0 || f.request.Partial {
		most = mostListed
	}
	if count := int64(len(ids)); count > min(most, mostListed) {
		return nil, f.tooMany(fmt.Sprintf("%d entries", count))
	}
	return ids, nil
}

// tooMany has the client ask again with more memory, if there is more, and the pod name its entries else.
func (f *fetch) tooMany(what string) error {
	return fmt.Errorf("listing what %s holds: it is %s; name those that are needed: %w", f.name, what, provider.ErrTooLarge)
}

// read reads what is wanted, some at once, and what a store does not have under its first name under
// the next.
func (f *fetch) read(ctx context.Context) error {
	var open []int
	for i, names := range f.wanted {
		if len(names) > 0 {
			open = append(open, i)
		}
	}
	for len(open) > 0 {
		count, within := f.part(ctx, len(open))
		part := open[:count]
		results, err := f.reader.read(within, f.caller, f.firstNames(part))
		if err != nil {
			return f.whole(ctx, err)
		}
		again := []int{}
		for _, i := range part {
			result := results[f.wanted[i][0]]
			if errors.Is(result.Err, provider.ErrTooLarge) && f.request.Partial && count > 1 {
				f.oneByOne = true
				again = append(again, i)
				continue
			}
			f.wanted[i] = f.wanted[i][1:]
			if errors.Is(result.Err, provider.ErrMissing) && isOfEntry(result.Err) && len(f.wanted[i]) > 0 {
				again = append(again, i)
			} else if err := f.take(ctx, i, result); err != nil {
				return err
			}
		}
		open = append(again, open[len(part):]...)
	}
	return nil
}

// part is how many secrets are read next, at once, in a context that bounds what they bring together.
// Where not all that is asked for may fit, they come one by one in the end: an answer has a bound of its
// own then, that of the client.
func (f *fetch) part(ctx context.Context, open int) (count int, within context.Context) {
	count = min(open, f.store.Batch()*atOnce)
	if f.request.MaxBytes == 0 {
		return count, ctx
	}
	left := f.request.MaxBytes - f.taken
	if f.oneByOne || f.request.Partial && left < entryBytes*int64(count) {
		return 1, ctx
	}
	return count, secretmanager.Within(ctx, left)
}

// firstNames are the names to read next. Two ids may lead to one.
func (f *fetch) firstNames(of []int) []string {
	var names []string
	seen := map[string]bool{}
	for _, i := range of {
		if name := f.wanted[i][0]; !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// take takes in what the store said of an entry. It fails where that concerns all of them.
func (f *fetch) take(ctx context.Context, i int, result Result) error {
	name := f.entries[i].Name()
	if !isOfEntry(result.Err) {
		return f.whole(ctx, result.Err)
	}
	f.entries[i] = f.decode(name, result)
	if f.entries[i].State != entry.Delivered || f.request.MaxBytes == 0 {
		return nil
	}
	size := int64(entryBytes)
	for value := range f.entries[i].Secrets() {
		size += int64(value.Len())
	}
	if f.taken+size <= f.request.MaxBytes {
		f.taken += size
		return nil
	}
	if !f.request.Partial {
		return fmt.Errorf("reading from %s: it holds more than there is memory for: %w", f.name, provider.ErrTooLarge)
	}
	f.entries[i] = entry.NoRoom(name)
	return nil
}

// decode makes the entry of what the store keeps.
func (p *Provider) decode(name entry.Name, result Result) entry.Entry {
	if result.Err != nil {
		return refused(name, result.Err)
	}
	if err := checkText(result.Kept); err != nil {
		return entry.Refused(name, entry.Invalid, err.Error())
	}
	if name.Kind == entry.Variable {
		text, err := p.store.Variable(result.Kept)
		if err != nil {
			return entry.Refused(name, entry.Invalid, err.Error())
		}
		return entry.OfVariable(name.ID, text, p.versions.Of(name, text.Reveal()))
	}
	connection, err := p.store.Connection(name.ID, result.Kept)
	if err != nil {
		return entry.Refused(name, entry.Invalid, err.Error())
	}
	return entry.OfConnection(connection, p.versions.Of(name, string(connection.JSON())))
}
