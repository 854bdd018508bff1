package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

func serve(t *testing.T, held *fakeStore) *Provider {
	made := New("fake", held, secretmanager.Config{})
	t.Cleanup(func() { assert.NoError(t, made.Close()) })
	return made
}

func variables(t *testing.T, from *Provider, of provider.Identity, ids ...string) []entry.Entry {
	t.Helper()
	entries, err := from.Fetch(t.Context(), of, providertest.Names(nil, ids))
	require.NoError(t, err)
	return entries
}

func numbers(n int) (ids []string) {
	for i := range n {
		ids = append(ids, strconv.Itoa(i))
	}
	return ids
}

func (f *fakeStore) hold(ids ...string) {
	for _, id := range ids {
		f.held["v/"+id] = "value of " + id
	}
}

func TestSecretsAreReadInBatches(t *testing.T) {
	held := newFakeStore(20)
	held.hold(numbers(45)...)
	entries := variables(t, serve(t, held), pod("ns", "a"), numbers(50)...)
	require.Len(t, entries, 50)
	assert.Equal(t, "value of 44", entries[44].Text.Reveal())
	assert.Equal(t, entry.Missing, entries[45].State)
	assert.Len(t, held.counted(), 3)
}

func TestAnIdentityThatMayNotReadBatchesReadsSingly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := newFakeStore(20)
		held.hold(numbers(3)...)
		held.refuses = func([]string) error { return &secretmanager.Failure{Kind: provider.ErrDenied, Text: "no batches"} }
		served := serve(t, held)
		variables(t, served, pod("ns", "a"), numbers(3)...)
		assert.Len(t, held.counted(), 4, "a batch, and each alone")
		time.Sleep(keptFor)
		variables(t, served, pod("ns", "a"), numbers(3)...)
		assert.Len(t, held.counted(), 3, "it is remembered")
		variables(t, served, pod("ns", "b"), numbers(3)...)
		assert.Len(t, held.counted(), 4, "of that identity alone")
		time.Sleep(singlyFor)
		variables(t, served, pod("ns", "a"), numbers(3)...)
		assert.Len(t, held.counted(), 4, "and not for ever")
	})
}

func TestAnAnswerThatIsTooLargeIsAskedForInHalves(t *testing.T) {
	held := newFakeStore(20)
	held.hold(numbers(8)...)
	held.refuses = func(names []string) error {
		if len(names) > 2 {
			return &secretmanager.Failure{TooLarge: true, Text: "too large"}
		}
		return nil
	}
	entries := variables(t, serve(t, held), pod("ns", "a"), numbers(8)...)
	for i, one := range entries {
		assert.Equal(t, fmt.Sprint("value of ", i), one.Text.Reveal())
	}
	assert.Len(t, held.counted(), 7)
}

func TestAnswersAreSharedForAMomentAndWithinAnIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := newFakeStore(1)
		held.hold("x")
		served := serve(t, held)
		ask := func(of provider.Identity) int {
			variables(t, served, of, "x")
			return len(held.counted())
		}
		assert.Equal(t, 1, ask(pod("ns", "a")))
		assert.Zero(t, ask(pod("ns", "a")))
		assert.Equal(t, 1, ask(pod("ns", "b")))
		assert.Equal(t, 1, ask(pod("ns2", "a")))
		time.Sleep(keptFor)
		assert.Equal(t, 1, ask(pod("ns", "a")))
		pretender := pod("ns", "b")
		pretender.ServiceAccount = "a"
		_, err := served.Fetch(t.Context(), pretender, providertest.Names(nil, []string{"x"}))
		require.ErrorIs(t, err, provider.ErrUnauthenticated)
	})
}

// TestManyEntriesTakeAsLongAsOne is of a store far away that has no batches.
func TestManyEntriesTakeAsLongAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := newFakeStore(1)
		held.hold(numbers(atOnce)...)
		held.takes = 20 * time.Millisecond
		began := time.Now()
		variables(t, serve(t, held), pod("ns", "a"), numbers(atOnce)...)
		assert.Equal(t, held.takes, time.Since(began))
		assert.Len(t, held.counted(), atOnce)
	})
}

func TestCallsAtOnceAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := newFakeStore(20)
		held.hold(numbers(30)...)
		served := serve(t, held)
		var calls sync.WaitGroup
		for i := range 110 {
			calls.Go(func() { variables(t, served, pod("ns", "a"), numbers(10+i%20)...) })
		}
		calls.Wait()
		asked := map[string]int{}
		for _, names := range held.counted() {
			for _, name := range names {
				asked[name]++
			}
		}
		require.Len(t, asked, 29)
		for name, times := range asked {
			assert.Equal(t, 1, times, name)
		}
		assert.Equal(t, 1, held.opens)
	})
}

// The documents promise a change within thirty seconds. The schedule looks a tenth later than it is told at most
// (schedule.TestJitterLiesAroundThePause), and may then be given what another pod was a moment before.
func TestAChangeIsSeenWithinThirtySeconds(t *testing.T) {
	assert.LessOrEqual(t, serve(t, newFakeStore(1)).PollEvery()*11/10+keptFor, 30*time.Second)
}

func TestAGroupIsOneFetchForEachServiceAccount(t *testing.T) {
	held := newFakeStore(1)
	held.hold("x")
	served := serve(t, held)
	pretender := pod("ns", "b")
	pretender.ServiceAccount = "a"
	outcomes := served.FetchGroup(t.Context(), []provider.Identity{pod("ns", "a"), pretender, pod("ns", "a"), pod("ns", "b")}, providertest.Names(nil, []string{"x"}))
	for i, outcome := range outcomes {
		if i == 1 {
			require.ErrorIs(t, outcome.Err, provider.ErrUnauthenticated)
			continue
		}
		require.NoError(t, outcome.Err)
		assert.Equal(t, "value of x", outcome.Entries[0].Text.Reveal())
	}
	assert.Len(t, held.counted(), 2)
}

func TestTwoIDsOfOneNameAreReadOnce(t *testing.T) {
	held := newFakeStore(1)
	held.Join = func(prefix, id string) (string, string) {
		return prefix + "/" + strings.ReplaceAll(id, "_", "-"), ""
	}
	held.hold("a-b")
	entries := variables(t, serve(t, held), pod("ns", "a"), "a_b", "a-b")
	assert.Equal(t, []string{"a_b", "a-b"}, []string{entries[0].ID, entries[1].ID})
	assert.Equal(t, entries[0].Text, entries[1].Text)
	assert.NotEqual(t, entries[0].Version, entries[1].Version)
	assert.Len(t, held.counted(), 1)
}

func TestWhatOneSecretIsToldConcernsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := newFakeStore(1)
		held.hold("good")
		held.held["v/binary"], held.held["v/nul"] = "\xff", "a\x00b"
		held.failing = func(name string) error {
			switch name {
			case "v/denied":
				return &secretmanager.Failure{Kind: provider.ErrDenied, Text: "no right"}
			case "v/broken":
				return secretmanager.Unusable("it cannot be decrypted")
			}
			return nil
		}
		served := serve(t, held)
		assert.Equal(t, []string{
			"delivered", "denied: no right; at the cloud, grant it to the identity of the pod's service account",
			"missing: there is none; create the secret, or correct the reference",
			"invalid: it cannot be decrypted; the cloud does not take it as it is: check the reference, and the secret itself",
			"missing: no secret here has such a name",
			"invalid: the secret is binary, or its text is not UTF-8; store text", "invalid: the secret holds the character NUL; store text",
		}, states(variables(t, served, pod("ns", "a"), "good", "denied", "missing", "broken", "impossible", "binary", "nul")))
		connections, err := served.Fetch(t.Context(), pod("ns", "a"), providertest.Names([]string{"x"}, nil))
		require.NoError(t, err)
		assert.Equal(t, entry.Missing, connections[0].State)
	})
}

func TestWhatConcernsThePodIsNoEntrys(t *testing.T) {
	for name, row := range map[string]struct {
		failure secretmanager.Failure
		kind    error
		ofCall  bool
	}{
		"the identity is denied": {secretmanager.Failure{Kind: provider.ErrDenied, Whole: true}, provider.ErrDenied, false},
		"it has none":            {secretmanager.Failure{Whole: true}, provider.ErrUnauthenticated, false},
		"its place is missing":   {secretmanager.Failure{Kind: provider.ErrMissing, Whole: true}, provider.ErrUnauthenticated, false},
		"its token expired":      {secretmanager.Failure{Kind: provider.ErrUnauthenticated}, provider.ErrUnauthenticated, false},
		"no host":                {secretmanager.Failure{Kind: provider.ErrMissing, NoHost: true}, provider.ErrUnavailable, false},
		"nobody is there":        {secretmanager.Failure{Kind: provider.ErrUnavailable, Unreached: true}, provider.ErrUnavailable, false},
		"throttled":              {secretmanager.Failure{Kind: provider.ErrUnavailable, Throttled: true}, provider.ErrUnavailable, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			held := newFakeStore(1)
			held.failing = func(string) error { return &row.failure }
			_, err := serve(t, held).Fetch(t.Context(), pod("a-namespace", "a"), providertest.Names(nil, []string{"x"}))
			require.ErrorIs(t, err, row.kind, name)
			assert.Equal(t, row.ofCall, provider.IsOfCall(err), name)
			assert.Equal(t, row.failure.Throttled, provider.IsOfAccount(err), name)
			assert.NotContains(t, err.Error(), "a-namespace", name)
			assert.False(t, !errors.Is(row.kind, provider.ErrMissing) && errors.Is(err, provider.ErrMissing), name)
		})
	}
}

func TestNoMoreIsReadThanThereIsRoomFor(t *testing.T) {
	held := newFakeStore(1)
	ids := numbers(10)
	for _, id := range ids {
		held.held["v/"+id] = strings.Repeat("x", 9<<10)
	}
	served := serve(t, held)
	request := providertest.Names(nil, append(ids, "absent"))
	request.MaxBytes = 50 << 10
	_, err := served.Fetch(t.Context(), pod("ns", "a"), request)
	require.ErrorIs(t, err, provider.ErrTooLarge)

	request.Partial = true
	entries, err := served.Fetch(t.Context(), pod("ns", "a"), request)
	require.NoError(t, err)
	for i, one := range entries[:10] {
		assert.Equal(t, i >= 5, one.TooLarge, i)
		assert.Equal(t, i < 5, one.State == entry.Delivered, i)
	}
	assert.Equal(t, entry.Missing, entries[10].State, "what is not there takes no room")
}

// Delivery reserves 64 KiB for a first answer, which is what a secret of some stores may take.
func TestSmallSecretsAreReadAtOnceIntoLittleRoom(t *testing.T) {
	for batch, calls := range map[int]int{1: 10, 20: 1} {
		synctest.Test(t, func(t *testing.T) {
			held := newFakeStore(batch)
			held.hold(numbers(10)...)
			held.takes = time.Second
			request := providertest.Names(nil, numbers(10))
			request.MaxBytes = 64 << 10
			began := time.Now()
			_, err := serve(t, held).Fetch(t.Context(), pod("ns", "a"), request)
			require.NoError(t, err)
			assert.Len(t, held.counted(), calls)
			assert.LessOrEqual(t, time.Since(began), 2*time.Second, "eight at once, as one identity may")
		})
	}
}

func TestWhoJoinsACallThatHadNoRoomAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := newFakeStore(1)
		held.held["v/x"], held.takes = strings.Repeat("x", 60<<10), time.Second
		served := serve(t, held)
		small, large := providertest.Names(nil, []string{"x"}), providertest.Names(nil, []string{"x"})
		small.MaxBytes, large.MaxBytes = 32<<10, 128<<10
		var both sync.WaitGroup
		both.Go(func() {
			_, err := served.Fetch(t.Context(), pod("ns", "a"), small)
			assert.ErrorIs(t, err, provider.ErrTooLarge)
		})
		both.Go(func() {
			time.Sleep(time.Second / 2)
			entries, err := served.Fetch(t.Context(), pod("ns", "a"), large)
			if assert.NoError(t, err) {
				assert.Equal(t, entry.Delivered, entries[0].State)
			}
		})
		both.Wait()
	})
}

// A pod that may write below the prefix, or whose store has a million secrets, takes no more of the node than any other.
func TestWhatIsListedTakesTheRoomOfTheRequest(t *testing.T) {
	held := newFakeStore(1)
	pages := 0
	held.lists = func(ctx context.Context) ([]string, error) {
		for range 1000 {
			if err := secretmanager.Take(ctx, 16<<10); err != nil {
				return nil, ListFailed("listing", err, "a card")
			}
			pages++
		}
		return nil, nil
	}
	request := providertest.Everything()
	request.MaxBytes = 64 << 10
	_, err := serve(t, held).Fetch(t.Context(), pod("ns", "a"), request)
	require.ErrorIs(t, err, provider.ErrTooLarge)
	require.ErrorContains(t, err, "name those that are needed")
	assert.Equal(t, 4, pages)

	held.lists = func(context.Context) ([]string, error) { return numbers(100), nil }
	held.hold(numbers(100)...)
	_, err = serve(t, held).Fetch(t.Context(), pod("ns", "a"), request)
	require.ErrorIs(t, err, provider.ErrTooLarge)
	assert.Empty(t, held.counted(), "what cannot fit is not read")
	request.Partial = true
	entries, err := serve(t, held).Fetch(t.Context(), pod("ns", "a"), request)
	require.NoError(t, err)
	assert.Len(t, entries, 200, "of the rest it is said that there is no room")
}

// What keeps a store from listing is no token that was refused, and is told by its own words.
func TestWhyNothingIsListed(t *testing.T) {
	for name, row := range map[string]struct {
		failure secretmanager.Failure
		kind    error
		says    string
	}{
		"denied":              {secretmanager.Failure{Kind: provider.ErrDenied, Text: "no"}, provider.ErrDenied, `listing; "*" takes a card: grant it`},
		"the login is denied": {secretmanager.Failure{Kind: provider.ErrDenied, Whole: true, Text: "logging in: no"}, provider.ErrDenied, "logging in: no"},
		"no role":             {secretmanager.Failure{Whole: true, Text: "no role; add it"}, provider.ErrUnauthenticated, "no role; add it"},
		"another version":     {secretmanager.Failure{Text: "of another version; correct it"}, provider.ErrUnavailable, "of another version; correct it"},
		"no project":          {secretmanager.Failure{Kind: provider.ErrMissing, Text: "no project"}, provider.ErrUnavailable, "no project"},
		"no host":             {secretmanager.Failure{Kind: provider.ErrMissing, NoHost: true, Text: "no host"}, provider.ErrUnavailable, "no host"},
		"a large answer":      {secretmanager.Failure{TooLarge: true, Text: "it is large"}, provider.ErrTooLarge, "name those that are needed"},
	} {
		held := newFakeStore(1)
		held.lists = func(context.Context) ([]string, error) { return nil, ListFailed("listing", &row.failure, "a card") }
		_, err := serve(t, held).Fetch(t.Context(), pod("ns", "a"), providertest.Everything())
		require.ErrorIs(t, err, row.kind, name)
		require.ErrorContains(t, err, row.says, name)
	}
}

func TestAllIsWhatTheStoreLists(t *testing.T) {
	held := newFakeStore(1)
	held.hold("a", "b")
	held.held["c/a"] = "http://h"
	entries, err := serve(t, held).Fetch(t.Context(), pod("ns", "a"), providertest.Everything())
	require.NoError(t, err)
	require.Len(t, entries, 4)
	assert.Equal(t, []string{`connection "a"`, `connection "b"`, `variable "a"`, `variable "b"`},
		[]string{entries[0].Name().String(), entries[1].Name().String(), entries[2].Name().String(), entries[3].Name().String()})
}

// A store tells of ten thousand names in hundreds of pages, one after the other: that takes longer than one request, and
// is no outage.
func TestAListOfManyPagesIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := newFakeStore(1)
		calls := 0
		held.lists = func(ctx context.Context) ([]string, error) {
			calls++
			for range 400 {
				if !pause.Wait(ctx, 50*time.Millisecond) {
					return nil, secretmanager.Unreachable("listing")
				}
			}
			return nil, nil
		}
		served := New("shelf", held, secretmanager.Config{})
		_, err := served.Fetch(t.Context(), pod("team", "reader"), providertest.Everything())
		require.NoError(t, err)
		assert.Equal(t, 2, calls, "of connections and of variables")
		require.NoError(t, served.Close())
	})
}
