package into

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/fetch"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

// rig is a directory on a real tmpfs before a provider in memory.
type rig struct {
	*testing.T
	fake  *providertest.Fake
	log   *testwait.Output
	path  string
	token string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, fake: providertest.NewFake(), log: new(testwait.Output), path: mounttest.Tmpfs(t, ""), token: file(t, minted(t, "leoflow-core", time.Now().Add(time.Hour), "first"))}
	r.set("first")
	r.fake.SetVariable("region", "north")
	return r
}

func (r *rig) set(password string) {
	r.fake.SetConnection(airflow.Connection{ID: "warehouse", Type: "postgres", Host: new("db"), Login: new("etl"), Password: new(secret.New(password))})
}

func wanted(names ...deliver.WantedName) deliver.Volume {
	return deliver.Volume{Mode: 0o440, Format: seam.URI, Provider: "core", Connections: deliver.Wanted{Names: names}, Variables: deliver.Wanted{Names: []deliver.WantedName{{ID: "region"}}}}
}

// into is a fetcher that starts.
func (r *rig) into() *Into {
	r.Helper()
	folder, err := mount.OpenFolder(r.path, mount.FolderOptions{})
	require.NoError(r, err)
	r.Cleanup(folder.Close)
	readers := report.Readers{Log: slog.New(slog.NewJSONHandler(r.log, nil))}
	return New(Config{
		Folder:  folder,
		Fetcher: fetch.New(fetch.Config{Providers: map[string]provider.Provider{"core": r.fake}, FetchTimeout: time.Minute, Readers: readers}),
		Wanted:  wanted(deliver.WantedName{ID: "warehouse"}), Tokens: Tokens{Files: []string{r.token}, Audience: "leoflow-core"},
		VolumeSize: 1 << 20, PollEvery: time.Minute, Readers: readers,
	})
}

// once is a whole run of a fetcher.
func (r *rig) once(within time.Duration) error {
	r.Helper()
	delivery := r.into()
	defer delivery.Folder.Close()
	ctx, cancel := context.WithTimeout(r.Context(), within)
	defer cancel()
	return delivery.Once(ctx)
}

func (r *rig) read(name string) string {
	r.Helper()
	content, err := os.ReadFile(filepath.Join(r.path, name))
	require.NoError(r, err)
	return string(content)
}

func (r *rig) generation() uint64 {
	r.Helper()
	shown, err := mount.LookInto(r.path)
	require.NoError(r, err)
	return shown.Manifest.Generation
}

func reasonOf(t *testing.T, err error) report.Reason {
	t.Helper()
	var failure *report.Error
	require.ErrorAs(t, err, &failure)
	return failure.Reason
}

func TestOnceMakesTheDirectoryWhatItShouldBeNow(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.once(time.Minute))
	assert.Equal(t, "postgres://etl:first@db", r.read("connections/warehouse"))
	assert.Equal(t, "north", r.read("variables/region"))
	require.NoError(t, r.once(time.Minute))
	assert.EqualValues(t, 1, r.generation(), "equal bytes are confirmed")
	r.set("second")
	require.NoError(t, r.once(time.Minute), "of files that are there, too")
	assert.Equal(t, "postgres://etl:second@db", r.read("connections/warehouse"))
	assert.EqualValues(t, 2, r.generation())
}

func TestOnceSaysWhyNot(t *testing.T) {
	warehouse := entry.Name{Kind: entry.Connection, ID: "warehouse"}
	for name, row := range map[string]struct {
		change func(*rig)
		reason report.Reason
		says   string
	}{
		"denied":        {func(r *rig) { r.fake.Deny("etl", warehouse) }, report.Denied, `connection "warehouse"`},
		"missing":       {func(r *rig) { r.fake.Remove(warehouse) }, report.Missing, `connection "warehouse" does not exist in core`},
		"broken":        {func(r *rig) { r.fake.Break(warehouse, "no port") }, report.Invalid, "no port"},
		"away":          {func(r *rig) { r.fake.Fail(provider.ErrUnavailable) }, report.Unavailable, "core cannot be asked now"},
		"token refused": {func(r *rig) { r.fake.Fail(provider.ErrUnauthenticated) }, report.Unauthenticated, "core refused the token of service account airflow/etl"},
		"no token":      {func(r *rig) { require.NoError(r, os.Remove(r.token)) }, report.Unauthenticated, "no such file or directory"},
		"expired":       {func(r *rig) { r.renew("old", -time.Hour) }, report.Unauthenticated, "expired at"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			row.change(r)
			err := r.once(3 * retryEvery)
			assert.Equal(t, row.reason, reasonOf(t, err))
			require.ErrorContains(t, err, row.says)
			_, err = mount.LookInto(r.path)
			require.ErrorIs(t, err, mount.ErrNoGeneration, "nothing passes for complete")
			assert.NotContains(t, r.log.String(), "first")
		})
	}
}

// renew is what kubelet does with a projected token.
func (r *rig) renew(mark string, life time.Duration) {
	r.Helper()
	next := r.token + ".next"
	require.NoError(r, os.WriteFile(next, []byte(minted(r.T, "leoflow-core", time.Now().Add(life), mark)), 0o600))
	require.NoError(r, os.Rename(next, r.token))
}

// A directory that shows files keeps them through an outage, and loses what is taken away.
func TestOnceOnFilesThatAreThere(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.once(time.Minute))
	r.fake.Fail(provider.ErrUnavailable)
	assert.Equal(t, report.Unavailable, reasonOf(t, r.once(3*retryEvery)))
	assert.Equal(t, "postgres://etl:first@db", r.read("connections/warehouse"))
	r.fake.Fail(nil)
	r.fake.Deny("etl", entry.Name{Kind: entry.Connection, ID: "warehouse"})
	require.ErrorContains(t, r.once(time.Minute), `withdrawn: connection "warehouse"`)
	assert.NoFileExists(t, filepath.Join(r.path, "connections/warehouse"))
	assert.Equal(t, "north", r.read("variables/region"))
}

func TestOnceWaitsForASource(t *testing.T) {
	r := newRig(t)
	r.fake.Fail(provider.ErrUnavailable)
	done := make(chan error, 1)
	go func() { done <- r.once(time.Minute) }()
	r.log.Await(t, "waiting for a source")
	r.fake.Fail(nil)
	require.NoError(t, testwait.Receive(t, done))
	assert.Equal(t, "north", r.read("variables/region"))
}

func TestTwoFetchersDoNotFillOneDirectory(t *testing.T) {
	r := newRig(t)
	r.into()
	_, err := mount.OpenFolder(r.path, mount.FolderOptions{})
	require.ErrorIs(t, err, mount.ErrInUse)
}

// watching is a sidecar that runs until the test ends.
func (r *rig) watching() (ended <-chan error, stop func()) {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	delivery, done, gone := r.into(), make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		defer delivery.Folder.Close()
		done <- delivery.Watch(ctx)
	}()
	r.Cleanup(func() { cancel(); testwait.Closed(r, gone) })
	return done, cancel
}

// shows waits for the file to have the content, or for it to be gone where that is empty.
func (r *rig) shows(name, content string) {
	r.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	ctx := testwait.Context(r)
	for {
		found, err := os.ReadFile(filepath.Join(r.path, name))
		if err == nil && string(found) == content || os.IsNotExist(err) && content == "" {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			require.Equal(r, content, string(found), fmt.Sprint(err, r.log))
			return
		}
	}
}

func TestASidecarRotatesWithdrawsAndRenews(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	r := newRig(t)
	done, stop := r.watching()
	r.log.Await(t, "the directory is complete")
	testwait.Closed(t, r.fake.Watching())

	r.set("second")
	r.shows("connections/warehouse", "postgres://etl:second@db")

	r.fake.Deny("etl", entry.Name{Kind: entry.Variable, ID: "region"})
	r.fake.Notify(provider.Change{All: true})
	r.shows("variables/region", "")
	assert.Equal(t, "postgres://etl:second@db", r.read("connections/warehouse"))

	r.renew("second", time.Hour)
	r.fake.Allow("etl", entry.Name{Kind: entry.Variable, ID: "region"})
	r.fake.Notify(provider.Change{All: true})
	r.shows("variables/region", "north")

	require.NoError(t, os.Remove(filepath.Join(r.path, "..data")))
	r.renew("third", time.Hour) // or ten seconds later
	r.shows("variables/region", "north")
	calls := r.fake.Calls()
	assert.Contains(t, calls[len(calls)-1].Pods[0].Token.Reveal(), "third")

	stop()
	require.NoError(t, testwait.Receive(t, done))
	assert.Equal(t, "north", r.read("variables/region"), "what a container reads to its end stays")
}

// A sidecar that was killed, or is of an older build, takes over what is there.
func TestASidecarThatStartsAgainGoesOn(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.once(time.Minute))
	r.set("second")
	_, _ = r.watching()
	r.log.Await(t, "the directory is complete")
	r.shows("connections/warehouse", "postgres://etl:second@db")
	assert.EqualValues(t, 2, r.generation())
}

// What a newer build wrote is no reason not to go on: the older one writes its own.
func TestAnOlderBuildTakesOver(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.once(time.Minute))
	manifest := filepath.Join(r.path, "..data", "manifest.json")
	text, err := os.ReadFile(manifest)
	require.NoError(t, err)
	require.NoError(t, os.Remove(manifest))
	require.NoError(t, os.WriteFile(manifest, []byte(strings.Replace(string(text), `"schema": 1`, `"schema": 99`, 1)), 0o440))
	_, err = mount.LookInto(r.path)
	require.ErrorContains(t, err, "schema 99 is newer")
	require.NoError(t, r.once(time.Minute))
	assert.EqualValues(t, 1, r.generation())
	assert.Equal(t, "north", r.read("variables/region"))
}

func TestASidecarThatIsRefusedEnds(t *testing.T) {
	r := newRig(t)
	r.fake.Deny("etl", entry.Name{Kind: entry.Connection, ID: "warehouse"})
	done, _ := r.watching()
	assert.Equal(t, report.Denied, reasonOf(t, testwait.Receive(t, done)))
}

func TestASidecarWaitsForASource(t *testing.T) {
	r := newRig(t)
	r.fake.Fail(provider.ErrUnavailable)
	_, _ = r.watching()
	r.log.Await(t, "waiting for a source")
	r.fake.Fail(nil)
	r.shows("variables/region", "north")
}
