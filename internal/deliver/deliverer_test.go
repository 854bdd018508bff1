package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/fetch"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

const megabyte = 1 << 20

// rig is a Deliverer on a real tmpfs before a provider in memory.
type rig struct {
	*Deliverer
	// asks is its Fetcher.
	asks *fetch.Fetcher
	fake *providertest.Fake
	log  *testwait.Output
	dir  string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWithin(t, 0)
}

// newRigWithin has so much memory; 0 is no limit.
func newRigWithin(t *testing.T, limit int64) *rig {
	t.Helper()
	fake := providertest.NewFake()
	fake.SetConnection(warehouse("first"))
	fake.SetVariable("region", "north")
	log := new(testwait.Output)
	readers := report.Readers{Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	r := &rig{fake: fake, log: log, dir: t.TempDir()}
	r.asks = fetch.New(fetch.Config{
		Providers: map[string]provider.Provider{"core": fake}, FetchTimeout: time.Minute,
		Readers: report.Readers{Log: readers.Log, Observer: sameObserver{r}},
	})
	r.Deliverer = New(Config{
		Fetcher:    r.asks,
		Budget:     budget.New(limit, nil),
		VolumeSize: megabyte,
		PollEvery:  time.Minute,
		Readers:    readers,
	})
	return r
}

// sameObserver tells the rig's observer of what the Fetcher does.
type sameObserver struct{ *rig }

func (s sameObserver) Fetched(fetch report.Fetch) { s.Observer.Fetched(fetch) }
func (s sameObserver) Panicked()                  { s.Observer.Panicked() }
func (s sameObserver) Delivered(report.Report)    {}
func (s sameObserver) Resolved(cloud, outcome string, took time.Duration) {
	s.Observer.Resolved(cloud, outcome, took)
}

// restarted is the rig with a Deliverer that has no volumes yet.
func (r *rig) restarted() *rig {
	return &rig{Deliverer: New(r.Config), asks: r.asks, fake: r.fake, log: r.log, dir: r.dir}
}

// remember has a Fetcher that remembers so long what it gave, and nothing yet.
func (r *rig) remember(grace time.Duration) {
	config := r.asks.Config
	config.OfflineGrace = grace
	r.asks = fetch.New(config)
	r.Fetcher = r.asks
}

// look has every live volume looked at, as Run would in time.
func (r *rig) look(t *testing.T) {
	t.Helper()
	r.set.plan(func(plan *schedule.Schedule) {
		for _, name := range r.Fetcher.Sources() {
			plan.Notified(name, schedule.Change{All: true}, time.Now())
		}
	})
	groups, _ := r.set.takeDue(time.Now().Add(schedule.ResyncSpread + schedule.MaxDebounce)) // when all are due
	for _, group := range groups {
		r.deliver(t.Context(), group)
	}
}

func warehouse(password string) airflow.Connection {
	return airflow.Connection{ID: "warehouse", Type: "postgres", Host: new("db"), Login: new("etl"), Password: new(secret.New(password))}
}

func named(ids ...string) Wanted {
	var wanted Wanted
	for _, id := range ids {
		wanted.Names = append(wanted.Names, WantedName{ID: id})
	}
	return wanted
}

// volume is a valid volume of the pod with that name; its unmount is seen to.
func (r *rig) volume(t *testing.T, pod string) Volume {
	t.Helper()
	target := filepath.Join(r.dir, pod)
	t.Cleanup(func() { assert.NoError(t, mount.Unmount(target)) })
	return Volume{
		ID: "csi-" + pod, TargetPath: target, Mode: 0o440, Format: seam.URI, Provider: "core",
		Connections: named("warehouse"), Variables: named("region"),
		Pod: provider.Identity{Namespace: "airflow", ServiceAccount: "etl", PodName: pod, PodUID: "uid-" + pod, Token: providertest.Token("airflow", "etl", "token-of-"+pod)},
	}
}

// mounted are the rig's volumes. Others' are there too where this user may not unmount them.
func (r *rig) mounted(t *testing.T) (targets []string) {
	t.Helper()
	all, err := mount.List()
	require.NoError(t, err)
	for _, info := range all {
		if filepath.Dir(info.Target) == r.dir {
			targets = append(targets, info.Target)
		}
	}
	return targets
}

func read(t *testing.T, v Volume, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(v.TargetPath, file))
	require.NoError(t, err)
	return string(data)
}

const (
	firstURI  = "postgres://etl:first@db"
	secondURI = "postgres://etl:second@db"
)

func reasonOf(t *testing.T, err error) report.Reason {
	t.Helper()
	var failure *report.Error
	require.ErrorAs(t, err, &failure)
	return failure.Reason
}

func TestPublishDelivers(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))

	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	assert.Equal(t, "north", read(t, v, "variables/region"))
	health, known := r.Health(v.ID)
	assert.True(t, known)
	assert.Equal(t, uint64(1), health.Generation)
	assert.Empty(t, health.Problem)
	usage, err := r.Stats(v.TargetPath)
	require.NoError(t, err)
	assert.Equal(t, int64(megabyte), usage.Bytes.Total)

	require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath))
	assert.NoDirExists(t, v.TargetPath)
	_, known = r.Health(v.ID)
	assert.False(t, known)
	_, err = r.Stats(v.TargetPath)
	assert.Equal(t, report.Missing, reasonOf(t, err))
	require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath), "unpublish is idempotent")
}

func TestRepublishOfAFreshVolumeTakesTheTokenAndAsksNobody(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	v.Pod.Token = secret.New("fresher")
	require.NoError(t, r.Publish(t.Context(), v))
	require.Len(t, r.fake.Calls(), 1)

	// The next delivery uses it.
	r.look(t)
	calls := r.fake.Calls()
	require.Len(t, calls, 2)
	assert.True(t, calls[1].Pods[0].Token.Equal(secret.New("fresher")))
	assert.Equal(t, uint64(1), must(r.Health(v.ID)).Generation, "unchanged content is no new generation")
}

func must(health report.Health, known bool) report.Health {
	if !known {
		return report.Health{}
	}
	return health
}

func TestRepublishRestoresAVolumeThatTheKernelLost(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	require.NoError(t, mount.Unmount(v.TargetPath))
	require.NoError(t, r.Publish(t.Context(), v))
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
}

func TestAFailedFirstPublishLeavesNothing(t *testing.T) {
	for _, row := range []struct {
		name    string
		arrange func(*rig, *Volume)
		reason  report.Reason
		message string
	}{
		{"core down", func(r *rig, _ *Volume) { r.fake.Fail(fmt.Errorf("dialling: %w", provider.ErrUnavailable)) },
			report.Unavailable, "core cannot be asked now: dialling: unavailable"},
		{"token refused", func(r *rig, v *Volume) { r.fake.RefuseToken(v.Pod.Token) },
			report.Unauthenticated, "core refused the token of service account airflow/etl: "},
		{"pod refused", func(r *rig, _ *Volume) { r.fake.Fail(provider.ErrDenied) },
			report.Denied, "core refused service account airflow/etl: denied"},
		{"garbage", func(r *rig, _ *Volume) { r.fake.Fail(provider.ErrProtocol) },
			report.Internal, "fetching from core: protocol violated"},
		{"no such provider", func(_ *rig, v *Volume) { v.Provider = "vault" },
			report.Internal, "fetching from vault: no such source is configured on this node"},
		{"several missing", func(_ *rig, v *Volume) { v.Connections, v.Variables = named("x", "warehouse", "y"), named("z") },
			report.Missing, `connection "x" does not exist in core; connection "y" does not exist in core; variable "z" does not exist in core (create it, or correct its id; with "?" after its id the pod starts without it)`},
		{"denied and missing", func(r *rig, v *Volume) {
			r.fake.Deny("etl", connectionName("warehouse"))
			v.Variables = named("z")
		}, report.Denied, `connection "warehouse" is denied to service account airflow/etl by core; variable "z" does not exist in core (have it allowed, create it or correct its id; with "?" after its id the pod starts without it)`},
		{"broken", func(r *rig, _ *Volume) { r.fake.Break(variableName("region"), "its seal is broken") },
			report.Invalid, `variable "region" cannot be delivered: its seal is broken`},
		{"cannot be rendered", func(r *rig, _ *Volume) { r.fake.SetVariable("region", "a\x00b") },
			report.Invalid, `variable "region" cannot be delivered: the value holds a NUL byte, which no environment variable can carry`},
		{"too large", func(r *rig, _ *Volume) { r.fake.SetVariable("region", string(bytes.Repeat([]byte("x"), megabyte))) },
			report.NoSpace, "filling the volume: "},
		{"target is a file", func(_ *rig, v *Volume) { require.NoError(t, os.WriteFile(v.TargetPath, nil, 0o600)) },
			report.BadTarget, "making the volume: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			good, v := r.volume(t, "good"), r.volume(t, "v")
			require.NoError(t, r.Publish(t.Context(), good))
			row.arrange(r, &v)

			open := descriptors(t)
			err := r.Publish(t.Context(), v)
			assert.Equal(t, row.reason, reasonOf(t, err))
			assert.Contains(t, err.Error(), row.message)
			assert.NotContains(t, err.Error(), r.dir, "where on the node that is")
			assert.Equal(t, open, descriptors(t), "with one the kernel keeps a tmpfs that is mounted nowhere")
			mounted, _ := mount.IsMounted(v.TargetPath)
			assert.False(t, mounted)
			_, known := r.Health(v.ID)
			assert.False(t, known)
			assert.Equal(t, firstURI, read(t, good, "connections/warehouse"), "a good volume stays good")
			if row.reason == report.BadTarget {
				require.NoError(t, os.Remove(v.TargetPath))
			}
		})
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(open)
}

// Kubelet asks again while the publish that it gave up on comes to its end, which takes nothing from the other.
func TestAPublishThatIsGivenUpEndsNoOther(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	release := r.fake.Block()
	defer release()
	ctx, giveUp := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- r.Publish(ctx, v) }()
	assert.Eventually(t, func() bool { return len(r.fake.Calls()) == 1 }, testwait.Limit, time.Millisecond)
	go func() { second <- r.Publish(t.Context(), v) }()
	assert.Eventually(t, func() bool { return len(r.fake.Calls()) == 2 }, testwait.Limit, time.Millisecond)
	giveUp()
	require.Error(t, testwait.Receive(t, first))
	release()
	require.NoError(t, testwait.Receive(t, second))
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath))
	assert.NoDirExists(t, v.TargetPath)
}

// The tmpfs and its directory are made while the answer is awaited.
func TestATmpfsIsThereBeforeTheAnswer(t *testing.T) {
	r := newRig(t)
	v, before := r.volume(t, "a"), descriptors(t)
	release := r.fake.Block()
	published := make(chan error, 1)
	go func() { published <- r.Publish(t.Context(), v) }()
	assert.Eventually(t, func() bool { return descriptors(t) > before }, testwait.Limit, time.Millisecond)
	mounted, err := mount.IsMounted(v.TargetPath)
	require.NoError(t, err)
	assert.False(t, mounted, "and nobody sees it")
	release()
	require.NoError(t, testwait.Receive(t, published))
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	assert.Equal(t, before, descriptors(t))
}

func TestOptionalEntriesDoNotFailAVolume(t *testing.T) {
	r := newRig(t)
	broken := entry.Name{Kind: entry.Connection, ID: "broken"}
	denied := entry.Name{Kind: entry.Connection, ID: "denied"}
	r.fake.Break(broken, "its seal is broken")
	r.fake.Deny("etl", denied)
	v := r.volume(t, "a")
	for _, id := range []string{"absent", "broken", "denied"} {
		v.Connections.Names = append(v.Connections.Names, WantedName{ID: id, Optional: true})
	}
	require.NoError(t, r.Publish(t.Context(), v))

	generation, err := mount.Current(v.TargetPath)
	require.NoError(t, err)
	states := map[string]layout.State{}
	for _, entry := range generation.Manifest.Entries {
		states[entry.ID] = entry.State
	}
	assert.Equal(t, map[string]layout.State{
		"warehouse": layout.Delivered, "region": layout.Delivered,
		"absent": "missing", "broken": "invalid", "denied": "denied",
	}, states)
}

func TestALiveVolumeKeepsItsFilesWhenAProviderFails(t *testing.T) {
	for name, failure := range map[string]error{
		"unavailable": provider.ErrUnavailable, "unauthenticated": provider.ErrUnauthenticated, "denied": provider.ErrDenied,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			v := r.volume(t, "a")
			require.NoError(t, r.Publish(t.Context(), v))
			r.fake.Fail(failure)
			r.look(t)
			require.NoError(t, r.Publish(t.Context(), v), "kubelet is told nothing: it would break the pod")

			assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
			assert.Contains(t, must(r.Health(v.ID)).Problem, name)
			assert.Contains(t, r.log.String(), "keeping the volume's last good files")
			r.fake.Fail(nil)
			r.look(t)
			assert.Empty(t, must(r.Health(v.ID)).Problem)
		})
	}
}

func TestAWithdrawnEntryGoesAndTheOthersStay(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	r.fake.Deny("etl", entry.Name{Kind: entry.Connection, ID: "warehouse"})
	r.look(t)

	assert.NoFileExists(t, filepath.Join(v.TargetPath, "connections/warehouse"))
	assert.Equal(t, "north", read(t, v, "variables/region"))
	health := must(r.Health(v.ID))
	assert.Equal(t, uint64(2), health.Generation)
	assert.Contains(t, health.Problem, `withdrawn: connection "warehouse" is denied to service account airflow/etl by core; the files were last confirmed`)
	assert.Contains(t, r.log.String(), `"notice":"withdrawn: `)
	shown, err := mount.Current(v.TargetPath)
	require.NoError(t, err)
	assert.Equal(t, layout.Entry{Kind: "connection", ID: "warehouse", State: "denied", Required: true}, shown.Manifest.Entries[0])

	before := len(r.fake.Calls())
	require.NoError(t, r.Publish(t.Context(), v))
	assert.Len(t, r.fake.Calls(), before, "it is as it should be: nobody needs to be asked")
	r.fake.Allow("etl", entry.Name{Kind: entry.Connection, ID: "warehouse"})
	r.look(t)
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	assert.Empty(t, must(r.Health(v.ID)).Problem)
}

func TestTheManifestSaysWhenItIsStale(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	lazy := r.volume(t, "b")
	lazy.Refresh = time.Hour
	require.NoError(t, r.Publish(t.Context(), lazy))
	for target, seconds := range map[string]int64{v.TargetPath: 15 * 60, lazy.TargetPath: 2 * 60 * 60} {
		shown, err := mount.Current(target)
		require.NoError(t, err)
		assert.Equal(t, seconds, shown.Manifest.StaleAfter)
		assert.Equal(t, shown.Manifest.Fetched, shown.Confirmed.UTC())
	}
}

func TestABrokenEntryIsHeldAndTheOthersGoOn(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	r.fake.SetVariable("region", "south")
	r.fake.Break(entry.Name{Kind: entry.Connection, ID: "warehouse"}, "its seal is broken")
	r.look(t)
	assert.Equal(t, "south", read(t, v, "variables/region"))
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	health := must(r.Health(v.ID))
	assert.Contains(t, health.Problem, `held as delivered before: connection "warehouse" cannot be delivered: its seal is broken`)
	assert.Equal(t, 1, health.Held)
	assert.True(t, r.Census()[0].Held)

	r.fake.SetConnection(warehouse("second"))
	r.look(t)
	assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
	assert.Empty(t, must(r.Health(v.ID)).Problem)
	assert.False(t, r.Census()[0].Held)
}

func TestAVolumeHasOneTarget(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	elsewhere := v
	elsewhere.TargetPath += "-elsewhere"
	assert.Equal(t, report.Conflict, reasonOf(t, r.Publish(t.Context(), elsewhere)))
	require.NoError(t, r.Unpublish(t.Context(), elsewhere.ID, elsewhere.TargetPath))
	_, known := r.Health(v.ID)
	assert.True(t, known, "the volume where it is published stays")
}

func TestARestartedDelivererAdoptsWhatIsMounted(t *testing.T) {
	before := newRig(t)
	v := before.volume(t, "a")
	require.NoError(t, before.Publish(t.Context(), v))

	after := New(before.Config)
	unclaimed, err := after.Unclaimed()
	require.NoError(t, err)
	before.fake.Fail(provider.ErrUnavailable)
	require.NoError(t, after.Publish(t.Context(), v), "the volume is live, whoever made it")
	claimed, err := after.Unclaimed()
	require.NoError(t, err)
	assert.Equal(t, 1, unclaimed-claimed)
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	before.fake.Fail(nil)
	(&rig{Deliverer: after}).look(t)
	assert.Equal(t, uint64(1), must(after.Health(v.ID)).Generation, "nothing changed, so nothing was rewritten")
}

func TestUnpublishDuringAPublishWins(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := newRig(t)
	v := r.volume(t, "a")
	release := r.fake.Block()
	published := make(chan error)
	go func() { published <- r.Publish(context.WithoutCancel(t.Context()), v) }()
	require.Eventually(t, func() bool { return len(r.fake.Calls()) == 1 }, testwait.Limit, time.Millisecond)
	require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath))
	release()
	assert.Equal(t, report.Busy, reasonOf(t, testwait.Receive(t, published)))
	assert.NoDirExists(t, v.TargetPath)
}

func TestManyPublishesOfOneVolumeAtOnce(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	var group sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		group.Go(func() { errs[i] = r.Publish(t.Context(), v) })
	}
	group.Wait()
	assert.NoError(t, errors.Join(errs...))
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
	assert.Equal(t, uint64(1), must(r.Health(v.ID)).Generation)
}
