package deliver

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// vault is a secret manager that holds one key and notes who asked.
type vault struct {
	mu    sync.Mutex
	asked []provider.Identity
	key   string
	away  bool
}

func (v *vault) Resolve(_ context.Context, pod provider.Identity, ref entry.Reference) (secret.Text, error) {
	v.mu.Lock()
	v.asked = append(v.asked, pod)
	v.mu.Unlock()
	if v.away {
		return secret.Text{}, provider.ErrUnavailable
	}
	if ref.Name != "gcs-key" {
		return secret.Text{}, provider.ErrMissing
	}
	return secret.New(`{"type":"service_account","client_email":"a@b.iam.gserviceaccount.com","private_key":"-----BEGIN PRIVATE KEY-----\n` + v.key + `\n-----END PRIVATE KEY-----\n","token_uri":"https://oauth2.googleapis.com/token"}`), nil
}

func gcp(extra string) airflow.Connection {
	return airflow.Connection{ID: "gcs", Type: "google_cloud_platform", Extra: new(secret.New(extra))}
}

func TestAReferenceIsResolvedUnderThePodsIdentity(t *testing.T) {
	r := newRig(t)
	keys := &vault{}
	r.asks.Resolver = keys
	r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
	v := r.volume(t, "a")
	v.Connections = named("gcs")
	require.NoError(t, r.Publish(t.Context(), v))

	value := read(t, v, "connections/gcs")
	assert.Contains(t, value, "extra__google_cloud_platform__keyfile_dict")
	assert.NotContains(t, value, "key_secret_name")
	require.Len(t, keys.asked, 1)
	assert.Equal(t, "a", keys.asked[0].PodName)
	shown, err := mount.Current(v.TargetPath)
	require.NoError(t, err)
	require.NotNil(t, shown.Manifest.Entries[0].Grade)

	keys.key = "rotated"
	r.look(t)
	later, err := mount.Current(v.TargetPath)
	require.NoError(t, err)
	assert.Equal(t, uint64(2), later.Manifest.Generation)
	assert.NotEqual(t, shown.Manifest.Entries[0].Version, later.Manifest.Entries[0].Version,
		"the version follows what the reference points at")
}

func TestAReferenceThatCannotBeResolvedFailsItsEntryAlone(t *testing.T) {
	r := newRig(t)
	r.asks.Resolver = &vault{}
	r.fake.SetConnection(gcp(`{"key_secret_name":"nowhere","key_secret_project_id":"p"}`))
	v := r.volume(t, "a")
	v.Connections = named("gcs", "warehouse")
	err := r.Publish(t.Context(), v)
	assert.Equal(t, report.Invalid, reasonOf(t, err))
	assert.Contains(t, err.Error(), `connection "gcs" cannot be delivered: `)
	assert.Contains(t, err.Error(), "key_secret_name")

	v.Connections.Names[0].Optional = true
	require.NoError(t, r.Publish(t.Context(), v))
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
}

func TestASecretManagerThatIsAwayTakesNothingAway(t *testing.T) {
	r := newRig(t)
	keys := &vault{}
	r.asks.Resolver = keys
	r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
	v := r.volume(t, "a")
	v.Connections = named("gcs")
	v.Connections.Names[0].Optional = true
	require.NoError(t, r.Publish(t.Context(), v))
	before := read(t, v, "connections/gcs")

	keys.away = true
	r.look(t)
	assert.Equal(t, before, read(t, v, "connections/gcs"), "optional is not disposable")
	assert.Contains(t, must(r.Health(v.ID)).Problem, `held as delivered before: connection "gcs" cannot be completed now: `)
	assert.Empty(t, r.Unreachable(), "core is well")

	waiting := r.volume(t, "b")
	waiting.Connections = named("gcs")
	for _, optional := range []bool{false, true} {
		waiting.Connections.Names[0].Optional = optional
		assert.Equal(t, report.Unavailable, reasonOf(t, r.Publish(t.Context(), waiting)), "an outage is not taken for absence")
	}
	keys.away = false
	require.NoError(t, r.Publish(t.Context(), waiting))
	assert.Equal(t, before, read(t, waiting, "connections/gcs"))
}

// What is held for its reference is had once that can be resolved, and not only when the
// volume would be looked at anyway.
func TestAHeldReferenceIsAskedForAgainSoon(t *testing.T) {
	var away atomic.Bool
	var key atomic.Value
	key.Store("first")
	keys := resolverFunc(func(ctx context.Context, ref entry.Reference) (secret.Text, error) {
		return (&vault{away: away.Load(), key: key.Load().(string)}).Resolve(ctx, provider.Identity{}, ref)
	})
	arrange := func(r *rig) { r.asks.Resolver = keys }
	rotated(t, arrange, func(t *testing.T, r *rig) {
		r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
		v := r.volume(t, "a")
		v.Connections = named("gcs")
		require.NoError(t, r.Publish(t.Context(), v))

		away.Store(true)
		key.Store("second")
		r.fake.Notify(provider.Change{Entries: []entry.Name{{Kind: entry.Connection, ID: "gcs"}}})
		synctest.Wait()
		require.NotEmpty(t, must(r.Health(v.ID)).Problem)
		away.Store(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Contains(t, read(t, v, "connections/gcs"), "second")
		assert.Empty(t, must(r.Health(v.ID)).Problem)
	})
}

// resolverFunc is a secret manager made of a function.
type resolverFunc func(ctx context.Context, ref entry.Reference) (secret.Text, error)

func (f resolverFunc) Resolve(ctx context.Context, _ provider.Identity, ref entry.Reference) (secret.Text, error) {
	return f(ctx, ref)
}

// twoReferences is a volume with two connections, each with a reference of its own.
func twoReferences(t *testing.T, r *rig) Volume {
	v := r.volume(t, "a")
	v.Connections = named("one", "two")
	for _, id := range []string{"one", "two"} {
		c := gcp(`{"key_secret_name":"` + id + `","key_secret_project_id":"p"}`)
		c.ID = id
		r.fake.SetConnection(c)
	}
	return v
}

func TestReferencesOfAVolumeAreResolvedAtOnce(t *testing.T) {
	r := newRig(t)
	var asked atomic.Int32
	both := make(chan struct{})
	r.asks.Resolver = resolverFunc(func(context.Context, entry.Reference) (secret.Text, error) {
		if asked.Add(1) == 2 {
			close(both)
		}
		select {
		case <-both:
		case <-time.After(testwait.Limit):
			t.Error("one reference waits for the other")
		}
		return (&vault{}).Resolve(t.Context(), provider.Identity{}, entry.Reference{Name: "gcs-key"})
	})
	require.NoError(t, r.Publish(t.Context(), twoReferences(t, r)))
}

func TestNobodyWaitsForTheRestOfWhatCannotBeHad(t *testing.T) {
	r := newRig(t)
	r.asks.Resolver = resolverFunc(func(ctx context.Context, ref entry.Reference) (secret.Text, error) {
		if ref.Name == "one" {
			<-ctx.Done()
		}
		return secret.Text{}, provider.ErrUnavailable
	})
	err := r.Publish(t.Context(), twoReferences(t, r))
	assert.Equal(t, report.Unavailable, reasonOf(t, err))
	assert.Contains(t, err.Error(), `connection "two" cannot be completed now: `)
}

// fixed is a secret manager that has one answer.
type fixed struct {
	value string
	err   error
}

func (f fixed) Resolve(context.Context, provider.Identity, entry.Reference) (secret.Text, error) {
	return secret.New(f.value), f.err
}

// TestAReferenceThatGoesBadIsHeld has what a live volume's required
// reference leads to become each thing that it must not be.
func TestAReferenceThatGoesBadIsHeld(t *testing.T) {
	for name, then := range map[string]fixed{
		"denied":                 {err: provider.ErrDenied},
		"missing":                {err: provider.ErrMissing},
		"the token refused":      {err: provider.ErrUnauthenticated},
		"empty":                  {value: ""},
		"not JSON":               {value: "n33dle"},
		"JSON of the wrong kind": {value: `["n33dle"]`},
		"binary":                 {value: "\xffn33dle"},
		"not a key":              {value: `{"n33dle":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.asks.Resolver = &vault{}
			r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
			v := r.volume(t, "a")
			v.Connections = named("gcs", "warehouse")
			require.NoError(t, r.Publish(t.Context(), v))
			before := read(t, v, "connections/gcs")

			r.asks.Resolver = then
			r.fake.SetConnection(warehouse("second"))
			r.look(t)
			assert.Equal(t, before, read(t, v, "connections/gcs"))
			assert.Equal(t, secondURI, read(t, v, "connections/warehouse"), "the others go on")
			health := must(r.Health(v.ID))
			assert.Equal(t, uint64(2), health.Generation)
			assert.Contains(t, health.Problem, `connection "gcs" cannot be delivered: field "extra.key_secret_name": `)
			assert.NotContains(t, health.Problem+r.log.String(), "n33dle")
		})
	}
}
