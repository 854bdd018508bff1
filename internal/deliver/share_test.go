package deliver

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// second gives the rig another source, "vault", that has the variable "payroll".
func (r *rig) second() *providertest.Fake {
	other := providertest.NewFake()
	other.SetVariable("payroll", "monthly")
	r.asks.Providers["vault"] = other
	return other
}

// ofTwo is a volume that wants payroll of vault, and the rest of core.
func (r *rig) ofTwo(t *testing.T, pod string) Volume {
	t.Helper()
	v := r.volume(t, pod)
	v.Variables.Names = append(v.Variables.Names, WantedName{ID: "payroll", Source: "vault"})
	return v
}

func linesOf(t *testing.T, v Volume) map[string]layout.Entry {
	t.Helper()
	shown, err := mount.Current(v.TargetPath)
	require.NoError(t, err)
	lines := map[string]layout.Entry{}
	for _, line := range shown.Manifest.Entries {
		lines[line.ID] = line
	}
	return lines
}

func TestEachSourceIsAskedForItsEntriesAlone(t *testing.T) {
	r := newRig(t)
	vault := r.second()
	v := r.ofTwo(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))

	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	assert.Equal(t, "monthly", read(t, v, "variables/payroll"))
	lines := linesOf(t, v)
	assert.Equal(t, "core", lines["warehouse"].Source)
	assert.Equal(t, "core", lines["region"].Source)
	assert.Equal(t, "vault", lines["payroll"].Source)
	assert.Equal(t, uint64(1), must(r.Health(v.ID)).Generation, "one swap shows all of it")

	require.Len(t, r.fake.Calls(), 1)
	assert.Equal(t, provider.Request{
		Connections: provider.Selection{Names: []string{"warehouse"}}, Variables: provider.Selection{Names: []string{"region"}},
		MaxBytes: smallAnswer / 2,
	}, r.fake.Calls()[0].Request)
	require.Len(t, vault.Calls(), 1)
	assert.Equal(t, provider.Request{Variables: provider.Selection{Names: []string{"payroll"}}, MaxBytes: smallAnswer / 2}, vault.Calls()[0].Request)

	require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath))
	assert.NoDirExists(t, v.TargetPath)
	assert.Empty(t, r.set.shares)
}

// A name that its source does not have is missing, whatever the other source has.
func TestNoSourceStandsInForAnother(t *testing.T) {
	r := newRig(t)
	r.second().SetVariable("region", "south")
	v := r.ofTwo(t, "a")
	r.fake.Remove(variableName("region"))
	err := r.Publish(t.Context(), v)
	assert.Equal(t, report.Missing, reasonOf(t, err))
	assert.ErrorContains(t, err, `variable "region" does not exist in core`)
	r.fake.Remove(connectionName("warehouse"))
	v.Variables.Names = append(v.Variables.Names, WantedName{ID: "absent", Source: "vault"})
	err = r.Publish(t.Context(), v)
	assert.ErrorContains(t, err, `connection "warehouse" does not exist in core; variable "region" does not exist in core`)
	assert.ErrorContains(t, err, `variable "absent" does not exist in vault`, "all that is missing is in one message")
	assert.NoDirExists(t, v.TargetPath)
}

// What another source gives is not taken for what this one takes away, which would leave
// references little time.
func TestAReferenceIsWaitedForBesideAnotherSource(t *testing.T) {
	keys := &vault{}
	slow := resolverFunc(func(ctx context.Context, ref entry.Reference) (secret.Text, error) {
		time.Sleep(seam.Patience / 2)
		return keys.Resolve(ctx, provider.Identity{}, ref)
	})
	rotated(t, func(r *rig) { r.second(); r.asks.Resolver = slow }, func(t *testing.T, r *rig) {
		r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
		v := r.ofTwo(t, "a")
		v.Connections = named("gcs")
		require.NoError(t, r.Publish(t.Context(), v))
		keys.key = "rotated"
		r.fake.Notify(provider.Change{Entries: []entry.Name{connectionName("gcs")}})
		time.Sleep(seam.Patience)
		synctest.Wait()
		assert.Contains(t, read(t, v, "connections/gcs"), "rotated")
		assert.Equal(t, uint64(2), must(r.Health(v.ID)).Generation)
	})
}

func TestNewsOfASourceConcernItsEntriesOnly(t *testing.T) {
	var vault *providertest.Fake
	rotated(t, func(r *rig) { vault = r.second() }, func(t *testing.T, r *rig) {
		v := r.ofTwo(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		ofCore, ofVault := len(r.fake.Calls()), len(vault.Calls())

		vault.SetVariable("payroll", "weekly")
		synctest.Wait()
		assert.Equal(t, "weekly", read(t, v, "variables/payroll"))
		assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
		assert.Len(t, r.fake.Calls(), ofCore)
		assert.Len(t, vault.Calls(), ofVault+1)

		vault.SetVariable("region", "south") // which is core's to say
		r.fake.SetConnection(warehouse("second"))
		synctest.Wait()
		assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
		assert.Equal(t, "north", read(t, v, "variables/region"))
		assert.Equal(t, "weekly", read(t, v, "variables/payroll"))
		assert.Len(t, vault.Calls(), ofVault+1)
		assert.Len(t, linesOf(t, v), 3)
	})
}

// panicking panics in every fetch once it is told to.
type panicking struct {
	*providertest.Fake
	told *bool
}

func (p panicking) FetchGroup(ctx context.Context, pods []provider.Identity, asked provider.Request) []provider.Outcome {
	if *p.told {
		panic("told to")
	}
	return p.Fake.FetchGroup(ctx, pods, asked)
}

func (p panicking) Fetch(ctx context.Context, pod provider.Identity, asked provider.Request) ([]entry.Entry, error) {
	if *p.told {
		panic("told to")
	}
	return p.Fake.Fetch(ctx, pod, asked)
}

// What one source says or does not say touches no entry of the other.
func TestTheTroubleOfASourceIsItsEntries(t *testing.T) {
	for name, breaks := range map[string]func(vault *providertest.Fake, panics *bool){
		"away": func(vault *providertest.Fake, _ *bool) {
			vault.Fail(fmt.Errorf("dialling: %w", provider.ErrUnavailable))
		},
		"denies": func(vault *providertest.Fake, _ *bool) { vault.Fail(provider.ErrDenied) },
		"silent": func(vault *providertest.Fake, _ *bool) { vault.Block() },
		"panics": func(_ *providertest.Fake, panics *bool) { *panics = true },
	} {
		t.Run(name, func(t *testing.T) {
			var vault *providertest.Fake
			var panics bool
			rotated(t, func(r *rig) {
				vault = r.second()
				r.asks.Providers["vault"] = panicking{vault, &panics}
			}, func(t *testing.T, r *rig) {
				v := r.ofTwo(t, "a")
				require.NoError(t, r.Publish(t.Context(), v))
				breaks(vault, &panics)
				vault.SetVariable("payroll", "weekly")
				synctest.Wait()

				start := time.Now()
				r.fake.Remove(variableName("region"))
				r.fake.SetConnection(warehouse("second"))
				synctest.Wait()
				assert.Equal(t, secondURI, read(t, v, "connections/warehouse"), "what is core's rotates")
				assert.NoFileExists(t, v.TargetPath+"/variables/region", "what is core's is withdrawn")
				assert.Equal(t, "monthly", read(t, v, "variables/payroll"), "what is vault's stays")
				assert.Zero(t, time.Since(start), "nothing waited")

				time.Sleep(2 * r.asks.FetchTimeout)
				synctest.Wait()
				assert.Equal(t, "monthly", read(t, v, "variables/payroll"))
				health := must(r.Health(v.ID))
				assert.Contains(t, health.Problem, "variable \"region\" does not exist in core", "the trouble of both is told")
				assert.NotEqual(t, `withdrawn: variable "region" does not exist in core`, health.Problem)
				shown, err := mount.Current(v.TargetPath)
				require.NoError(t, err)
				assert.Greater(t, time.Since(shown.Confirmed), 2*r.asks.FetchTimeout-time.Second, "the volume is as old as its oldest entry")
			})
		})
	}
}

func TestAWithdrawalOfOneSourceLeavesTheOther(t *testing.T) {
	var vault *providertest.Fake
	rotated(t, func(r *rig) { vault = r.second() }, func(t *testing.T, r *rig) {
		v := r.ofTwo(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		r.fake.Fail(fmt.Errorf("dialling: %w", provider.ErrUnavailable))
		vault.Deny("etl", variableName("payroll"))
		synctest.Wait()
		assert.NoFileExists(t, v.TargetPath+"/variables/payroll")
		assert.Equal(t, "north", read(t, v, "variables/region"))
	})
}

// A new volume waits for every source, is made of all of them or not at all, and says which
// is not there.
func TestANewVolumeWaitsForAllItsSources(t *testing.T) {
	var vault *providertest.Fake
	rotated(t, func(r *rig) { vault = r.second() }, func(t *testing.T, r *rig) {
		v := r.ofTwo(t, "a")
		vault.Fail(fmt.Errorf("dialling: %w", provider.ErrUnavailable))
		err := r.Publish(t.Context(), v)
		assert.Equal(t, report.Unavailable, reasonOf(t, err))
		assert.ErrorContains(t, err, "vault cannot be asked now: dialling: unavailable")
		assert.NoDirExists(t, v.TargetPath)
		_, known := r.Health(v.ID)
		assert.False(t, known)

		assert.NotContains(t, r.log.String(), `"source":"core","outcome"`, "core is not at fault, and nothing was made of what it gave")
		assert.Contains(t, r.log.String(), `"source":"vault","outcome":"unavailable"`)

		r.fake.Deny("etl", connectionName("warehouse"))
		assert.Equal(t, report.Unavailable, reasonOf(t, r.Publish(t.Context(), v)), "of an outage nothing is known")

		vault.Fail(nil)
		time.Sleep(schedule.UrgentPause)
		assert.Equal(t, report.Denied, reasonOf(t, r.Publish(t.Context(), v)))
		r.fake.Allow("etl", connectionName("warehouse"))
		require.NoError(t, r.Publish(t.Context(), v))
		assert.Equal(t, "monthly", read(t, v, "variables/payroll"))
	})
}

// kubelet gives a call up that takes long, and makes another.
func TestANewVolumeOfTwoSourcesIsPublishedTwiceAtOnce(t *testing.T) {
	r := newRig(t)
	vault := r.second()
	v := r.ofTwo(t, "a")
	adopted, err := r.adopt(v)
	require.NoError(t, err)
	earlier, later := r.set.begin(adopted), r.set.begin(adopted)
	require.NoError(t, r.deliverNew(t.Context(), earlier))
	vault.SetVariable("payroll", "weekly")
	require.NoError(t, r.deliverNew(t.Context(), later))
	assert.Equal(t, "weekly", read(t, v, "variables/payroll"))
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	assert.Len(t, linesOf(t, v), 3)
}

// With "*" the volume's own source says what there is of a kind, and another source keeps
// what it gave of the other kind.
func TestAllOfOneSourceStandsBesideAnothers(t *testing.T) {
	var vault *providertest.Fake
	rotated(t, func(r *rig) { vault = r.second() }, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		v.Connections = Wanted{All: true}
		v.Variables = Wanted{Names: []WantedName{{ID: "payroll", Source: "vault"}}}
		require.NoError(t, r.Publish(t.Context(), v))
		vault.SetVariable("payroll", "weekly")
		synctest.Wait()
		assert.Equal(t, "weekly", read(t, v, "variables/payroll"))
		assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
		r.fake.Remove(connectionName("warehouse"))
		synctest.Wait()
		assert.NoFileExists(t, v.TargetPath+"/connections/warehouse")
		assert.Equal(t, "weekly", read(t, v, "variables/payroll"))
	})
}

func TestARestartKeepsAVolumeOfTwoSources(t *testing.T) {
	r := newRig(t)
	vault := r.second()
	v := r.ofTwo(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	after := New(r.Config)
	require.NoError(t, after.Publish(t.Context(), v))
	again := &rig{Deliverer: after, fake: r.fake, log: r.log, dir: r.dir}
	again.look(t)
	assert.Equal(t, uint64(1), must(after.Health(v.ID)).Generation, "equal bytes are no new generation")
	vault.SetVariable("payroll", "weekly")
	again.look(t)
	assert.Equal(t, "weekly", read(t, v, "variables/payroll"))
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
}
