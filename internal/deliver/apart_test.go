package deliver

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

// narrow is a provider whose messages hold so many bytes of variables, and no more.
type narrow struct {
	*providertest.Fake
	bytes int
}

func (n *narrow) Fetch(ctx context.Context, pod provider.Identity, asked provider.Request) ([]entry.Entry, error) {
	outcome := n.FetchGroup(ctx, []provider.Identity{pod}, asked)[0]
	return outcome.Entries, outcome.Err
}

func (n *narrow) FetchGroup(ctx context.Context, pods []provider.Identity, asked provider.Request) []provider.Outcome {
	outcomes := n.Fake.FetchGroup(ctx, pods, asked)
	for i := range outcomes {
		size := 0
		for _, e := range outcomes[i].Entries {
			size += e.Text.Len()
		}
		if size > n.bytes {
			outcomes[i] = provider.Outcome{Err: provider.ErrTooLarge}
		}
	}
	return outcomes
}

// narrowly is a live volume with ten variables before a provider whose messages hold 100
// bytes.
func narrowly(t *testing.T) (*rig, Volume) {
	t.Helper()
	r := newRig(t)
	r.asks.Providers["core"] = &narrow{r.fake, 100}
	v := r.volume(t, "a")
	v.Variables = named(idsLike("key", 10)...)
	for _, name := range v.Variables.Names {
		r.fake.SetVariable(name.ID, "first")
	}
	require.NoError(t, r.Publish(t.Context(), v))
	return r, v
}

func TestAnEntryThatNoMessageHoldsIsHeldAlone(t *testing.T) {
	r, v := narrowly(t)
	r.fake.SetVariable("key003", fmt.Sprintf("%0200d", 0))
	r.fake.SetVariable("key004", "second")
	r.fake.Deny("etl", connectionName("warehouse"))
	r.look(t)
	assert.NoFileExists(t, filepath.Join(v.TargetPath, "connections/warehouse"))
	assert.Equal(t, "second", read(t, v, "variables/key004"))
	assert.Equal(t, "first", read(t, v, "variables/key003"))
	assert.Contains(t, entryOf(t, v, "key003").Held.Why, provider.ErrTooLarge.Error())
}

func TestEntriesThatTogetherFitNoMessageComeInParts(t *testing.T) {
	r, v := narrowly(t)
	for _, name := range v.Variables.Names {
		r.fake.SetVariable(name.ID, fmt.Sprintf("%050d", 0))
	}
	r.look(t)
	assert.Equal(t, fmt.Sprintf("%050d", 0), read(t, v, "variables/key009"))
	assert.Empty(t, must(r.Health(v.ID)).Problem)

	r.VolumeSize = 200 // of values, all parts together
	r.look(t)
	assert.Contains(t, entryOf(t, v, "key009").Held.Why, "all entries together are larger than the volume may be")
	assert.Equal(t, fmt.Sprintf("%050d", 0), read(t, v, "variables/key009"))
}

// A new pod gets them so too, and of "*", which has no parts, is told at once.
func TestANewPodsEntriesThatTogetherFitNoMessageComeInParts(t *testing.T) {
	r, _ := narrowly(t)
	v := r.volume(t, "b")
	v.Variables = named("large0", "large1", "large2")
	for _, name := range v.Variables.Names {
		r.fake.SetVariable(name.ID, fmt.Sprintf("%050d", 0))
	}
	require.NoError(t, r.Publish(t.Context(), v))
	assert.Equal(t, fmt.Sprintf("%050d", 0), read(t, v, "variables/large2"))

	star := r.volume(t, "c")
	star.Connections, star.Variables = Wanted{}, Wanted{All: true}
	before := len(r.fake.Calls())
	assert.Equal(t, report.NoSpace, reasonOf(t, r.Publish(t.Context(), star)))
	assert.Len(t, r.fake.Calls(), before+4, "one for each size that memory is reserved for")
}

// Nobody who adds what "*" then brings besides keeps what was taken away in the files.
func TestAWithdrawalWaitsForNoStarThatNoMessageHolds(t *testing.T) {
	for name, connections := range map[string]Wanted{"variables alone": {}, "beside a list": named("warehouse"), "beside another": {All: true}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.asks.Providers["core"] = &narrow{r.fake, 100}
			v := r.volume(t, "a")
			v.Connections, v.Variables = connections, Wanted{All: true}
			r.fake.SetVariable("other", "first")
			require.NoError(t, r.Publish(t.Context(), v))

			r.fake.SetVariable("huge", fmt.Sprintf("%0200d", 0))
			r.fake.Remove(variableName("region"))
			r.look(t)
			assert.NoFileExists(t, filepath.Join(v.TargetPath, "variables/region"))
			assert.Equal(t, "first", read(t, v, "variables/other"))
			assert.Contains(t, must(r.Health(v.ID)).Problem, provider.ErrTooLarge.Error())
			assert.Contains(t, must(r.Health(v.ID)).Problem, "last confirmed")

			r.set.sharesOf(r.set.find(v.ID))[0].health.Confirmed = time.Now().Add(-schedule.MinStaleAfter - time.Minute)
			r.fake.Remove(variableName("other"))
			r.look(t)
			assert.NoFileExists(t, filepath.Join(v.TargetPath, "variables/other"), "nor if the volume is stale")

			r.fake.Remove(variableName("huge"))
			r.look(t)
			assert.Empty(t, must(r.Health(v.ID)).Problem)
		})
	}
}

func TestAProviderThatAnswersNothingRightIsTakenAtItsWord(t *testing.T) {
	r, v := narrowly(t)
	r.fake.Fail(provider.ErrProtocol)
	before := len(r.fake.Calls())
	r.look(t)
	assert.LessOrEqual(t, len(r.fake.Calls())-before, 33, "the whole and as many parts as a Fetcher asks for")
	assert.Contains(t, must(r.Health(v.ID)).Problem, "fetching from core: protocol violated")
	assert.Equal(t, "first", read(t, v, "variables/key003"))

	refused := r.volume(t, "b")
	before = len(r.fake.Calls())
	require.Error(t, r.Publish(t.Context(), refused))
	assert.Len(t, r.fake.Calls(), before+1, "a new pod is told at once")
}
