package mount

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

func TestWriteToAVolumeThatIsTooSmallKeepsWhatItShows(t *testing.T) {
	tests := map[string]func(*Content){
		"bytes": func(c *Content) { c.Entries[1].Value = bytes.Repeat([]byte("x"), 160<<10) },
		"inodes": func(c *Content) {
			for i := range 200 {
				c.Entries = append(c.Entries, newEntry(layout.Variable, strconv.Itoa(i), ""))
			}
		},
	}
	for name, fill := range tests {
		t.Run(name, func(t *testing.T) {
			target := newVolume(t, 64<<10)
			_, err := Write(target, newContent())
			require.NoError(t, err)
			before, name := usedOf(t, target), shown(t, target)

			content := newContent()
			fill(&content)
			_, err = Write(target, content)
			require.ErrorIs(t, err, ErrFull)
			require.ErrorContains(t, err, "and 131072 is all there is")
			assertShows(t, target, newContent())
			assert.Equal(t, name, shown(t, target))
			assert.Equal(t, before, usedOf(t, target))
		})
	}
}

func usedOf(t *testing.T, target string) [2]int64 {
	t.Helper()
	usage, err := Stats(target)
	require.NoError(t, err)
	return [2]int64{usage.Bytes.Used, usage.Inodes.Used}
}

// The kernel says "no space left" in the middle of a file.
func TestStageThatRunsFullLeavesNothing(t *testing.T) {
	target := newVolume(t, 64<<10)
	_, err := Write(target, newContent())
	require.NoError(t, err)
	before := usedOf(t, target)
	volume, err := openVolume(target)
	require.NoError(t, err)
	defer volume.close()

	files := []File{{Path: "variables/big", Data: make([]byte, 200<<10)}}
	_, err = volume.stage(newContent(), files)
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorIs(t, volume.full(err, files), ErrFull)
	assert.Equal(t, before, usedOf(t, target))
	assertShows(t, target, newContent())
}

func TestSwapThatFailsLeavesNothing(t *testing.T) {
	target := newVolume(t, megabyte)
	require.NoError(t, os.Mkdir(filepath.Join(target, layout.DataLink), 0o700))
	volume, err := openVolume(target)
	require.NoError(t, err)
	defer volume.close()
	staged, err := volume.mkdir("..staged")
	require.NoError(t, err)
	staged.close()

	require.Error(t, volume.swap("..staged"))
	members, err := volume.members()
	require.NoError(t, err)
	assert.Equal(t, []member{{name: layout.DataLink, isDir: true}}, members)
}

func TestFootprintIsWhatTheKernelCounts(t *testing.T) {
	target := newVolume(t, megabyte)
	content := newContent()
	for i, size := range []int{0, 1, 4095, 4096, 4097, 100 << 10} {
		content.Entries = append(content.Entries, newEntry(layout.Variable, strconv.Itoa(i), strings.Repeat("x", size)))
	}
	_, err := Write(target, content)
	require.NoError(t, err)
	files, err := newPlan(content, &standing{}).all(content)
	require.NoError(t, err)
	usage, err := Stats(target)
	require.NoError(t, err)
	assert.Equal(t, Footprint(files), usage.Bytes.Used)
	assert.EqualValues(t, megabyte, usage.Bytes.Total)
	assert.Equal(t, usage.Bytes.Total, usage.Bytes.Used+usage.Bytes.Available)
	assert.Equal(t, usage.Inodes.Total, usage.Inodes.Used+usage.Inodes.Available)
}

func TestWriteRepairsWhatItFinds(t *testing.T) {
	tests := map[string]struct {
		damage func(t *testing.T, target string)
		// changed tells whether the content has to be written again.
		changed bool
	}{
		"a temporary link": {func(t *testing.T, target string) {
			require.NoError(t, os.Symlink("..gone", filepath.Join(target, layout.DataLinkTemp)))
		}, false},
		"a directory in its place": {func(t *testing.T, target string) {
			require.NoError(t, os.MkdirAll(filepath.Join(target, layout.DataLinkTemp, "x"), 0o700))
		}, false},
		"a half-written generation": {func(t *testing.T, target string) {
			dir := filepath.Join(target, "..2026_01_02_03_04_05.abc", layout.VariablesDir)
			require.NoError(t, os.MkdirAll(dir, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "region"), []byte("no"), 0o400))
		}, false},
		"a link lost": {func(t *testing.T, target string) {
			require.NoError(t, os.Remove(filepath.Join(target, layout.VariablesDir)))
		}, false},
		"a root that nobody enters": {func(t *testing.T, target string) {
			require.NoError(t, os.Chmod(target, 0o700))
		}, false},
		"a value altered": {func(t *testing.T, target string) {
			require.NoError(t, os.WriteFile(filepath.Join(target, "variables/region"), []byte("nowhere"), 0))
		}, true},
		"a mode altered": {func(t *testing.T, target string) {
			require.NoError(t, os.Chmod(filepath.Join(target, "variables/region"), 0o666))
		}, true},
		"a value lost": {func(t *testing.T, target string) {
			require.NoError(t, os.Remove(filepath.Join(target, "variables/region")))
		}, true},
		"a directory lost": {func(t *testing.T, target string) {
			require.NoError(t, os.RemoveAll(filepath.Join(target, layout.DataLink, layout.AirflowDir)))
		}, true},
		"the manifest lost": {func(t *testing.T, target string) {
			require.NoError(t, os.Remove(filepath.Join(target, layout.DataLink, layout.ManifestFile)))
		}, true},
		"the manifest cut": {func(t *testing.T, target string) {
			require.NoError(t, os.Truncate(filepath.Join(target, layout.ManifestFile), 10))
		}, true},
		"the manifest a newer driver's": {func(t *testing.T, target string) {
			require.NoError(t, os.WriteFile(filepath.Join(target, layout.ManifestFile), []byte(`{"schema": 2}`), 0))
		}, true},
		"the generation lost": {func(t *testing.T, target string) {
			require.NoError(t, os.RemoveAll(filepath.Join(target, shown(t, target))))
		}, true},
		"the data link lost": {func(t *testing.T, target string) {
			require.NoError(t, os.Remove(filepath.Join(target, layout.DataLink)))
		}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			target := newVolume(t, megabyte)
			_, err := Write(target, newContent())
			require.NoError(t, err)
			test.damage(t, target)

			outcome, err := Write(target, newContent())
			require.NoError(t, err)
			assert.Equal(t, test.changed, outcome.Changed)
			assertShows(t, target, newContent())
			assertAccess(t, target, newContent())
		})
	}
}
