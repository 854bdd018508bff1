package store

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeStore is in memory. It counts the calls, singles and batches alike, by what they ask for.
type fakeStore struct {
	Text
	Naming
	batch int
	// refuses a batch with an error; nil lets it be.
	refuses func(names []string) error
	// takes is how long a call takes.
	takes time.Duration
	// failing is what a read fails with.
	failing func(name string) error
	// lists is what a session lists.
	lists func(ctx context.Context) ([]string, error)

	mu    sync.Mutex
	held  map[string]string
	calls [][]string
	opens int
}

func newFakeStore(batch int) *fakeStore {
	join := func(prefix, id string) (string, string) {
		if id == "impossible" {
			return "", "no secret here has such a name"
		}
		return prefix + "/" + id, ""
	}
	return &fakeStore{
		Naming:  Naming{Connections: Prefix{Option: "connections_prefix", Text: "c"}, Variables: Prefix{Option: "variables_prefix", Text: "v"}, Join: join},
		batch:   batch,
		refuses: func([]string) error { return nil }, failing: func(string) error { return nil },
		lists: func(context.Context) ([]string, error) { return []string{"b", "a", "b"}, nil },
		held:  map[string]string{},
	}
}

func (f *fakeStore) Annotations() []string { return nil }
func (f *fakeStore) Close() error          { return nil }
func (f *fakeStore) Batch() int            { return f.batch }

func (f *fakeStore) Open(secretmanager.Subject) (Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opens++
	return fakeSession{f}, nil
}

type fakeSession struct{ *fakeStore }

func (f fakeSession) Read(ctx context.Context, name string) (secret.Text, error) {
	time.Sleep(f.takes)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, []string{name})
	result := f.result(name)
	if err := secretmanager.Take(ctx, int64(result.Kept.Len())); err != nil {
		return secret.Text{}, err
	}
	return result.Kept, result.Err
}

func (f fakeSession) ReadBatch(ctx context.Context, names []string) (map[string]Result, error) {
	time.Sleep(f.takes)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, slices.Clone(names))
	if err := f.refuses(names); err != nil {
		return nil, err
	}
	results := map[string]Result{}
	bytes := 0
	for _, name := range names {
		results[name] = f.result(name)
		bytes += results[name].Kept.Len()
	}
	if err := secretmanager.Take(ctx, int64(bytes)); err != nil {
		return nil, err
	}
	return results, nil
}

func (f fakeSession) result(name string) Result {
	if err := f.failing(name); err != nil {
		return Result{Err: err}
	}
	text, found := f.held[name]
	if !found {
		return Result{Err: &secretmanager.Failure{Kind: provider.ErrMissing, Text: "there is none"}}
	}
	return Result{Kept: secret.New(text)}
}

func (f fakeSession) List(ctx context.Context, _ entry.Kind) ([]string, error) { return f.lists(ctx) }

// counted are the calls so far, which it forgets.
func (f *fakeStore) counted() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	counted := f.calls
	f.calls = nil
	return counted
}

func pod(namespace, account string) provider.Identity {
	return provider.Identity{Namespace: namespace, ServiceAccount: account, Token: providertest.Token(namespace, account, "s")}
}

func states(entries []entry.Entry) (found []string) {
	for _, one := range entries {
		says := string(one.State)
		if len(one.Notices) > 0 {
			says += ": " + one.Notices[0].Message
		}
		found = append(found, says)
	}
	return found
}
