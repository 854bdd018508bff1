package fetch

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/fetch/render"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// basket is a seam.Taker that keeps what it is handed.
type basket struct {
	mu      sync.Mutex
	told    []seam.Told
	places  int
	answers map[int]seam.Answer
}

func (b *basket) Told(how seam.Told) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, how)
}

func (b *basket) Place() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.places++
}

func (b *basket) Take(i int, answer seam.Answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answers == nil {
		b.answers = map[int]seam.Answer{}
	}
	b.answers[i] = answer
}

// rig is a Fetcher before a source in memory, which has the connection "warehouse" and the variable
// "region".
type rig struct {
	*Fetcher
	fake *providertest.Fake
	log  *bytes.Buffer
}

func newRig(change func(*Config)) *rig {
	fake, log := providertest.NewFake(), &bytes.Buffer{}
	fake.SetConnection(warehouse("first"))
	fake.SetVariable("region", "north")
	config := Config{
		Providers: map[string]provider.Provider{"core": fake}, FetchTimeout: time.Minute,
		Readers: report.Readers{Log: slog.New(slog.NewJSONHandler(log, nil))},
	}
	if change != nil {
		change(&config)
	}
	return &rig{New(config), fake, log}
}

// work is what so many live volumes ask for that show all they are to.
func work(volumes int) seam.Work {
	made := seam.Work{Source: "core", Room: 1 << 20, Request: call.Request{
		Connections: call.Selection{Names: []string{"warehouse"}}, Variables: call.Selection{Names: []string{"region"}}, MaxBytes: 1 << 20,
	}}
	for i := range volumes {
		made.Volumes = append(made.Volumes, seam.Volume{
			ID: fmt.Sprint("csi-", i), Format: seam.URI, IsLive: true,
			Pod: call.Identity{Namespace: "airflow", ServiceAccount: "etl", PodName: fmt.Sprint("pod-", i), Token: providertest.Token("airflow", "etl", "s")},
			Shown: []seam.Shown{
				{Name: connectionName("warehouse"), Env: "AIRFLOW_CONN_WAREHOUSE"}, {Name: variableName("region"), Env: "AIRFLOW_VAR_REGION"},
			},
		})
	}
	return made
}

func connectionName(id string) entry.Name { return entry.Name{Kind: entry.Connection, ID: id} }

func variableName(key string) entry.Name { return entry.Name{Kind: entry.Variable, ID: key} }

func (r *rig) fetch(t *testing.T, work seam.Work) *basket {
	t.Helper()
	got := &basket{}
	require.NoError(t, r.Fetch(t.Context(), work, got))
	assert.Len(t, got.answers, got.places, "each place is given back")
	return got
}

func TestEveryVolumeIsHandedWhatItIsToShow(t *testing.T) {
	r := newRig(nil)
	got := r.fetch(t, work(3))
	require.Len(t, got.told, 1)
	assert.Equal(t, []error{nil, nil, nil}, got.told[0].Errs)
	assert.False(t, got.told[0].Outgrown)
	assert.Positive(t, got.told[0].Each)
	require.Len(t, got.answers, 3)
	for _, answer := range got.answers {
		require.NoError(t, answer.Err)
		require.Len(t, answer.Entries, 2)
		assert.Equal(t, "postgres://etl:first@db", string(answer.Entries[0].Value))
		assert.Equal(t, "connections/warehouse", answer.Entries[0].File)
		assert.Equal(t, "core", answer.Entries[0].Source)
		assert.Equal(t, `"north"`, string(answer.Entries[1].JSON))
		assert.WithinDuration(t, time.Now(), answer.Fetched, time.Minute)
		assert.False(t, answer.Refers)
	}
}

// More than there is memory for is not handed on, and asked for again.
func TestAnAnswerThatOutgrowsItsMemoryIsHandedToNobody(t *testing.T) {
	r := newRig(nil)
	asked := work(2)
	asked.MaxBytes = 100
	got := r.fetch(t, asked)
	require.Len(t, got.told, 1)
	assert.True(t, got.told[0].Outgrown)
	assert.Empty(t, got.answers)
}

// A source that is known to be away is not asked, and of pods alike what one was given is known.
func TestOfASourceThatIsAwayWhatIsRememberedIsHandedOn(t *testing.T) {
	r := newRig(func(config *Config) { config.OfflineGrace = time.Hour })
	r.fetch(t, work(1))
	before := len(r.fake.Calls())
	asked := work(2)
	asked.IsAway = true
	asked.Volumes[0].IsLive, asked.Volumes[1].IsLive = false, true
	got := r.fetch(t, asked)
	assert.Empty(t, got.told)
	assert.Len(t, r.fake.Calls(), before)
	require.ErrorIs(t, got.answers[0].Offline, provider.ErrUnavailable)
	assert.Equal(t, "postgres://etl:first@db", string(got.answers[0].Entries[0].Value))
	require.ErrorIs(t, got.answers[1].Err, provider.ErrUnavailable)
}

// What is remembered takes memory as an answer does: of more than there is, the driver is to reserve more,
// and where it has no more, it is as if nothing were remembered.
func TestWhatIsRememberedIsHandedOnWithinTheMemoryForIt(t *testing.T) {
	for name, away := range map[string]bool{"not asked": true, "asked in vain": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(func(config *Config) { config.OfflineGrace = time.Hour })
			r.fetch(t, work(1))
			r.fake.Fail(provider.ErrUnavailable)
			asked := work(1)
			asked.Volumes[0].IsLive, asked.IsAway, asked.MaxBytes = false, away, 100
			answer := r.fetch(t, asked).answers[0]
			require.ErrorIs(t, answer.Err, seam.ErrOutgrown)
			assert.Empty(t, answer.Entries)
			asked.Partial = true
			answer = r.fetch(t, asked).answers[0]
			require.ErrorIs(t, answer.Err, provider.ErrUnavailable)
			assert.Empty(t, answer.Entries)
			asked.MaxBytes = 1 << 20
			assert.Len(t, r.fetch(t, asked).answers[0].Entries, 2)
		})
	}
}

// A fault is told of the volume that it is met at, with what was taken away: of a list, and of "*",
// of which the answer is silent.
func TestAPanicIsHandedOnWithWhatWasTakenAway(t *testing.T) {
	for name, arrange := range map[string]func(*rig){
		"policy": func(r *rig) {
			r.decider.apply = func(*entry.Entry) { panic("about n33dle") }
		},
		"renderer": func(r *rig) {
			r.render = func(render.Format, []entry.Entry, map[string]string) { panic("about n33dle") }
		},
		"resolver": func(r *rig) {
			r.Resolver = panicking{}
			r.fake.SetConnection(airflow.Connection{ID: "warehouse", Type: "google_cloud_platform",
				Extra: new(secret.New(`{"key_secret_name":"s","key_secret_project_id":"p"}`))})
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, all := range []bool{false, true} {
				r := newRig(nil)
				arrange(r)
				r.fake.Deny("etl", variableName("region"))
				asked := work(2)
				if all {
					asked.Variables = call.Selection{All: true}
				}
				got := r.fetch(t, asked)
				require.Len(t, got.told, 1)
				for _, answer := range got.answers {
					require.ErrorIs(t, answer.Err, report.ErrPanic)
					require.Len(t, answer.Entries, 1)
					assert.Equal(t, variableName("region"), answer.Entries[0].Name())
					assert.True(t, isWithdrawal(answer.Entries[0].State))
				}
				assert.NotContains(t, r.log.String(), "n33dle")
				assert.Contains(t, r.log.String(), "fetcher_test.go", "the stack")
				turn, err := r.rendering.Take(t.Context(), "all", rendersAtOnce)
				require.NoError(t, err)
				turn()
			}
		})
	}
}

type panicking struct{}

func (panicking) Resolve(context.Context, provider.Identity, entry.Reference) (secret.Text, error) {
	panic("about n33dle")
}

func TestWhatThereIsToKnowOfASource(t *testing.T) {
	r := newRig(func(config *Config) { config.OfflineGrace = time.Hour })
	known, found := r.Source("core")
	assert.True(t, found)
	assert.Equal(t, seam.Source{IsGrouped: true, IsWatched: true, Remembers: true, FetchFor: time.Minute}, known)
	_, found = r.Source("vault")
	assert.False(t, found)
	assert.Equal(t, []string{"core"}, r.Sources())
	require.ErrorIs(t, r.Watch(t.Context(), "vault", nil), provider.ErrWatchUnsupported)
	got := &basket{}
	asked := work(1)
	asked.Source = "vault"
	require.NoError(t, r.Fetch(t.Context(), asked, got))
	require.ErrorContains(t, got.answers[0].Err, "no such source is configured on this node")
}
