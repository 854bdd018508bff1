package envshim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

func TestRead(t *testing.T) {
	volume := newVolume(t)
	deliver(t, volume, map[string]string{"region": "north\n", "empty": "", "a/b": "slash"})

	snapshot, err := Read(volume)
	require.NoError(t, err)
	assert.EqualValues(t, 1, snapshot.Manifest.Generation)
	assert.Equal(t, []string{"variable a/b AIRFLOW_VAR_A/B=slash", "variable empty AIRFLOW_VAR_EMPTY=", "variable region AIRFLOW_VAR_REGION=north\n"}, revealed(snapshot))
}

// revealed are the entries of a snapshot with their values.
func revealed(snapshot Snapshot) (entries []string) {
	for _, entry := range snapshot.Entries {
		entries = append(entries, fmt.Sprintf("%s %s %s=%s", entry.Kind, entry.ID, entry.Env, entry.Value.Reveal()))
	}
	return entries
}

// newDirectory is a volume of one variable in a plain directory, for tests to break.
func newDirectory(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "volume")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "..1", layout.VariablesDir), 0o700))
	require.NoError(t, os.Symlink("..1", filepath.Join(dir, layout.DataLink)))
	writeFile(t, dir, "variables/region", "north")
	writeFile(t, dir, layout.ManifestFile, `{"schema": 1, "generation": 1, "entries": [
		{"kind": "variable", "id": "region", "state": "delivered", "env": "AIRFLOW_VAR_REGION", "file": "variables/region"},
		{"kind": "variable", "id": "gone", "state": "missing"}]}`)
	return dir
}

func writeFile(t testing.TB, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "..1", name), []byte(text), 0o600))
}

func TestReadRefuses(t *testing.T) {
	relink := func(target string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, layout.DataLink)))
			require.NoError(t, os.Symlink(target, filepath.Join(dir, layout.DataLink)))
		}
	}
	replace := func(create func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, "..1/variables/region")
			require.NoError(t, os.Remove(path))
			require.NoError(t, create(path))
		}
	}
	for name, row := range map[string]struct {
		spoil   func(t *testing.T, dir string)
		message string
		waiting bool
	}{
		"no directory": {func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) },
			"nothing is delivered yet: DIR does not exist: is the volume mounted there (volumeMounts[].mountPath), or elsewhere (--dir)?", true},
		"no data link": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "..data"))) },
			"reading volume DIR: nothing is delivered yet: it has no ..data: is it a Leoflow volume, and mounted without subPath?", true},
		"data link to a parent":  {relink(".."), "reading volume DIR: ..data leads out of the volume", false},
		"data link to elsewhere": {relink("/etc"), "reading volume DIR: ..data leads out of the volume", false},
		"data link to nothing":   {relink("..2"), "reading volume DIR: openat ..2: no such file or directory", false},
		"no manifest": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "..1/manifest.json"))) },
			"reading volume DIR: manifest.json: openat manifest.json: no such file or directory", false},
		"newer schema": {func(t *testing.T, dir string) { writeFile(t, dir, layout.ManifestFile, `{"schema": 2}`) },
			"reading volume DIR: manifest.json: unusable manifest: schema 2 is newer than 1, the newest this program reads: upgrade it", false},
		"missing file": {replace(func(string) error { return nil }),
			`reading volume DIR: variable "region": openat variables/region: no such file or directory`, false},
		"link out of the volume": {replace(func(path string) error { return os.Symlink("/etc/hostname", path) }),
			`reading volume DIR: variable "region": variables/region is not a regular file`, false},
		"link within the volume": {replace(func(path string) error { return os.Symlink("../manifest.json", path) }),
			`reading volume DIR: variable "region": variables/region is not a regular file`, false},
		"linked directory": {func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, "..1/variables"), filepath.Join(dir, "elsewhere")))
			require.NoError(t, os.Symlink("../elsewhere", filepath.Join(dir, "..1/variables")))
		}, `reading volume DIR: variable "region": openat variables/region: not a directory`, false},
		"pipe": {replace(func(path string) error { return unix.Mkfifo(path, 0o600) }),
			`reading volume DIR: variable "region": variables/region is not a regular file`, false},
		"directory": {replace(func(path string) error { return os.Mkdir(path, 0o700) }),
			`reading volume DIR: variable "region": variables/region is not a regular file`, false},
		"huge file": {func(t *testing.T, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, "..1/variables/region"), maxValueSize+1))
		}, `reading volume DIR: variable "region": variables/region holds 4194305 bytes, more than a reader accepts`, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDirectory(t)
			snapshot, err := Read(dir)
			require.NoError(t, err)
			require.Equal(t, []string{"variable region AIRFLOW_VAR_REGION=north"}, revealed(snapshot))

			row.spoil(t, dir)
			snapshot, err = Read(dir)
			assert.EqualError(t, err, strings.ReplaceAll(row.message, "DIR", dir))
			assert.Equal(t, row.waiting, errors.Is(err, ErrNotDelivered))
			assert.Empty(t, snapshot)
		})
	}
}

func TestReadWithoutPermissionNamesTheRemedy(t *testing.T) {
	dir := newDirectory(t)
	require.NoError(t, os.Chmod(filepath.Join(dir, "..1/variables/region"), 0))
	var err error
	withoutCapabilities(t, func() { _, err = Read(dir) })
	assert.EqualError(t, err, "reading volume "+dir+`: variable "region": openat variables/region: permission denied: the files belong to the pod's group: set securityContext.fsGroup, or the volume's attribute mode`)
}

// withoutCapabilities does what is asked as root in a container does it, to whom
// permissions apply.
func withoutCapabilities(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: this thread ends with the goroutine
		var none [2]unix.CapUserData
		if assert.NoError(t, unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])) {
			do()
		}
	}()
	testwait.Closed(t, done)
}

// TestReadWhileTheWriterSwaps and the benchmark after it read while generations follow
// each other without a pause. 'go test -run=- -bench=Swap -benchtime=1000000x' is the
// million of the promise.
func TestReadWhileTheWriterSwaps(t *testing.T) {
	readWhileTheWriterSwaps(t, testlong.Count(5_000, 50_000))
}

func BenchmarkReadWhileTheWriterSwaps(b *testing.B) { readWhileTheWriterSwaps(b, b.N) }

func readWhileTheWriterSwaps(t testing.TB, reads int) {
	volume := newVolume(t)
	deliver(t, volume, numbered(0))
	ctx, stop := context.WithCancel(context.Background())
	var writer sync.WaitGroup
	writer.Go(func() {
		for number := 1; ctx.Err() == nil; number++ {
			deliver(t, volume, numbered(number))
		}
	})
	last := uint64(0)
	for range reads {
		snapshot, err := Read(volume)
		require.NoError(t, err)
		require.Len(t, snapshot.Entries, 3)
		for _, entry := range snapshot.Entries[1:] {
			require.Equal(t, snapshot.Entries[0].Value.Reveal(), entry.Value.Reveal(), "two generations in one snapshot")
		}
		require.GreaterOrEqual(t, snapshot.Manifest.Generation, last, "time went backwards")
		require.Equal(t, fmt.Sprint(snapshot.Manifest.Generation-1), snapshot.Entries[0].Value.Reveal())
		last = snapshot.Manifest.Generation
	}
	stop()
	writer.Wait()
	require.Greater(t, last, uint64(reads/1000), "the writer hardly wrote")
}

func numbered(number int) map[string]string {
	value := fmt.Sprint(number)
	return map[string]string{"first": value, "second": value, "third": value}
}

func BenchmarkRead(b *testing.B) {
	volume := newVolume(b)
	entries := map[string]string{}
	for number := range 10 {
		entries[fmt.Sprintf("key%d", number)] = strings.Repeat("x", 200)
	}
	deliver(b, volume, entries)
	b.Run("snapshot", func(b *testing.B) {
		for b.Loop() {
			_, err := Read(volume)
			require.NoError(b, err)
		}
	})
	b.Run("floor", func(b *testing.B) { // the same files, read by their paths
		for b.Loop() {
			for key := range entries {
				_, err := os.ReadFile(filepath.Join(volume, layout.VariablesDir, key))
				require.NoError(b, err)
			}
		}
	})
}

// FuzzSnapshot reads a volume of any manifest and any file. Whatever it is, reading
// ends, stays within the volume, and yields only what the volume holds.
func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(`{"schema":1,"entries":[{"kind":"variable","id":"a","state":"delivered","env":"AIRFLOW_VAR_A","file":"variables/file"}]}`), []byte("value"))
	f.Add([]byte(`{"schema":1,"entries":[{"state":"delivered","file":"variables/../../outside"}]}`), []byte("value"))
	f.Add([]byte(`{"schema":1,"entries":[{"state":"delivered","file":"connections/link"}]}`), []byte("value"))
	f.Add([]byte(`{"schema":1,"entries":null}`), []byte(nil))
	f.Fuzz(func(t *testing.T, manifest, value []byte) {
		dir := t.TempDir()
		for path, text := range map[string][]byte{
			"outside": []byte("needle"), "volume/..1/manifest.json": manifest, "volume/..1/variables/file": value,
		} {
			path = filepath.Join(dir, path)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, text, 0o600))
		}
		volume := filepath.Join(dir, "volume")
		require.NoError(t, os.Symlink("..1", filepath.Join(volume, layout.DataLink)))
		require.NoError(t, os.Mkdir(filepath.Join(volume, "..1/connections"), 0o700))
		require.NoError(t, os.Symlink("../../../outside", filepath.Join(volume, "..1/connections/link")))
		snapshot, err := Read(volume)
		if err != nil {
			require.NotContains(t, err.Error(), "needle")
			return
		}
		for _, entry := range snapshot.Entries {
			require.Equal(t, string(value), entry.Value.Reveal())
		}
		environ, err := Merge(nil, snapshot.Entries, false)
		require.True(t, err != nil || len(environ) == len(snapshot.Entries))
	})
}
