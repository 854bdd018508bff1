package mount

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

func TestWriteShowsContentInTheAtomicWriterLayout(t *testing.T) {
	target := newVolume(t, megabyte)
	content := newContent()

	outcome, err := Write(target, content)
	require.NoError(t, err)
	assertOutcome(t, Outcome{Generation: 1, Changed: true}, outcome)

	assertShows(t, target, content)
	for _, name := range append(layout.ValueDirs(), layout.ManifestFile) {
		link, err := os.Readlink(filepath.Join(target, name))
		require.NoError(t, err)
		assert.Equal(t, "..data/"+name, link)
	}
}

func assertOutcome(t *testing.T, want, outcome Outcome) {
	t.Helper()
	assert.Positive(t, outcome.Memory)
	outcome.Entries, outcome.Withdrawn, outcome.Memory = nil, nil, 0
	assert.Equal(t, want, outcome)
}

// assertShows makes sure that a volume shows content and holds nothing else.
func assertShows(t testing.TB, target string, content Content) {
	t.Helper()
	planned := newPlan(content, &standing{})
	for _, file := range planned.files() {
		data, err := os.ReadFile(filepath.Join(target, file.Path))
		require.NoError(t, err)
		assert.Equal(t, string(file.Data), string(data))
	}
	current, err := Current(target)
	require.NoError(t, err)
	assert.Equal(t, planned.entries(), current.Manifest.Entries)
	assert.Equal(t, layout.Schema, current.Manifest.Schema)

	names, err := filepath.Glob(filepath.Join(target, "..?*"))
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{filepath.Join(target, layout.DataLink), filepath.Join(target, shown(t, target))}, names)
	left, err := filepath.Glob(filepath.Join(target, layout.DataLink, "*", "*"))
	require.NoError(t, err)
	assert.Len(t, left, len(planned.files()))
}

// shown is the name of the generation's directory.
func shown(t testing.TB, target string) string {
	t.Helper()
	name, err := os.Readlink(filepath.Join(target, layout.DataLink))
	require.NoError(t, err)
	return name
}

// otherGroup is one besides root's.
const otherGroup = 1234

func TestWriteReplacesWhatChanged(t *testing.T) {
	tests := map[string]func(*testing.T, *Content){
		"a value":             func(_ *testing.T, c *Content) { c.Entries[1] = newEntry(layout.Variable, "region", "south") },
		"a value's size":      func(_ *testing.T, c *Content) { c.Entries[1].Value = []byte{} },
		"a value for Airflow": func(_ *testing.T, c *Content) { c.Entries[1].JSON = []byte("1") },
		"an entry more": func(_ *testing.T, c *Content) {
			c.Entries = append(c.Entries, newEntry(layout.Variable, "env", "test"))
		},
		"an entry less": func(_ *testing.T, c *Content) { c.Entries = c.Entries[:1] },
		"the mode":      func(_ *testing.T, c *Content) { c.Mode = 0o444 },
		"the group":     func(t *testing.T, c *Content) { testneed.Group(t, otherGroup); c.GID = otherGroup },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			target := newVolume(t, megabyte)
			_, err := Write(target, newContent())
			require.NoError(t, err)
			before := shown(t, target)

			content := newContent()
			change(t, &content)
			outcome, err := Write(target, content)
			require.NoError(t, err)
			assertOutcome(t, Outcome{Generation: 2, Changed: true}, outcome)
			assert.NotEqual(t, before, shown(t, target))
			assertShows(t, target, content)
			assertAccess(t, target, content)
		})
	}
}

// assertAccess makes sure that mode and group are as content has them, whatever the
// umask is.
func assertAccess(t *testing.T, target string, content Content) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(target, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		switch {
		case entry.IsDir():
			assert.Equal(t, content.dirMode(), info.Mode().Perm(), path)
		case entry.Type().IsRegular():
			assert.Equal(t, content.Mode, info.Mode(), path)
		default:
			return nil // a link has its destination's
		}
		assert.EqualValues(t, content.GID, info.Sys().(*syscall.Stat_t).Gid, path)
		return nil
	}))
}

func TestDirectoriesAreEnteredByWhoMayRead(t *testing.T) {
	tests := map[fs.FileMode]fs.FileMode{0o400: 0o700, 0o440: 0o750, 0o444: 0o755, 0o404: 0o705, 0o640: 0o750, 0: 0o700}
	for mode, want := range tests {
		assert.Equal(t, want, Content{Mode: mode}.dirMode(), "%o", mode)
	}
}

func TestWriteOfTheSameContentOnlyConfirmsIt(t *testing.T) {
	target := newVolume(t, megabyte)
	_, err := Current(target)
	require.ErrorIs(t, err, ErrNoGeneration)
	content := newContent()
	_, err = Write(target, content)
	require.NoError(t, err)
	before := shown(t, target)
	awoken := watch(t, target)

	content.Manifest.Fetched = fetched.Add(1)
	outcome, err := Write(target, content)
	require.NoError(t, err)
	assertOutcome(t, Outcome{Generation: 1}, outcome)
	assert.Equal(t, before, shown(t, target))
	assert.False(t, awoken(), "nobody who watches the volume is woken")
	current, err := Current(target)
	require.NoError(t, err)
	assert.True(t, current.Confirmed.Equal(fetched.Add(1)))
	assert.True(t, current.Manifest.Fetched.Equal(fetched))

	content.Entries[0].Value = []byte("changed")
	_, err = Write(target, content)
	require.NoError(t, err)
	assert.True(t, awoken(), "the watch does watch")
}

// watch watches a volume as the agent does. The function it returns tells whether
// anything has happened.
func watch(t *testing.T, target string) (awoken func() bool) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	_, err = unix.InotifyAddWatch(fd, target, unix.IN_ALL_EVENTS&^(unix.IN_OPEN|unix.IN_ACCESS|unix.IN_CLOSE))
	require.NoError(t, err)
	return func() bool {
		_, err := unix.Read(fd, make([]byte, 4096))
		return !errors.Is(err, unix.EAGAIN)
	}
}

func TestWriteRefusesContentThatBreaksARule(t *testing.T) {
	tests := map[string]struct {
		damage  func(*Content)
		message string
	}{
		"a path outside":      {func(c *Content) { c.Entries[0].File = "../x" }, `"../x" is no path of a value`},
		"the manifest's path": {func(c *Content) { c.Entries[0].File = layout.ManifestFile }, `"manifest.json" is no path of a value`},
		"a path of all":       {func(c *Content) { c.Entries[0].File = layout.ConnectionsJSON }, `"airflow/connections.json" is no path of a value`},
		"a path twice":        {func(c *Content) { c.Entries[1].File = c.Entries[0].File }, `"connections/warehouse" is there twice`},
		"an entry twice":      {func(c *Content) { c.Entries[1] = c.Entries[0] }, `connection "warehouse" is there twice`},
		"another kind":        {func(c *Content) { c.Entries[0].Kind = "pool" }, `"warehouse" has the kind "pool", which there is not`},
		"a mode with more":    {func(c *Content) { c.Mode |= fs.ModeSetuid }, "more than permissions"},
		"a negative group":    {func(c *Content) { c.GID = -1 }, "group -1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			target := newVolume(t, megabyte)
			_, err := Write(target, newContent())
			require.NoError(t, err)
			content := newContent()
			test.damage(&content)
			_, err = Write(target, content)
			require.ErrorIs(t, err, ErrContent)
			require.ErrorContains(t, err, test.message)
			assertShows(t, target, newContent())
		})
	}
}

func TestWriteGoesNowhereButToAVolume(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, dir string) (target string)
		want    error
	}{
		"a directory on a disk": {func(_ *testing.T, dir string) string { return dir }, ErrNotMounted},
		"below a volume": {func(t *testing.T, _ string) string {
			target := filepath.Join(newVolume(t, megabyte), "below")
			require.NoError(t, os.Mkdir(target, 0o700))
			return target
		}, ErrNotMounted},
		"nothing": {func(_ *testing.T, dir string) string { return dir + "/mount" }, ErrNotMounted},
		"a link to a volume": {func(t *testing.T, dir string) string {
			return makeLink(t, dir, newVolume(t, megabyte))
		}, ErrTarget},
		"another file system": {func(t *testing.T, dir string) string {
			return mountOther(t, dir, func(target string) error { return unix.Mount("/proc", target, "", unix.MS_BIND|unix.MS_REC, "") })
		}, ErrForeign},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target := test.prepare(t, dir)
			_, err := Write(target, newContent())
			require.ErrorIs(t, err, test.want)
			_, err = Current(target)
			require.ErrorIs(t, err, test.want)
			_, err = Stats(target)
			require.ErrorIs(t, err, test.want)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.LessOrEqual(t, len(left), 1)
		})
	}
}

func TestWriteLeavesTheCallersSliceAlone(t *testing.T) {
	content := newContent()
	entries := slices.Concat(content.Entries, []Entry{newEntry(layout.Variable, "shared", "kept")})
	content.Entries = entries[:len(entries)-1]
	_, err := Write(newVolume(t, megabyte), content)
	require.NoError(t, err)
	assert.Equal(t, "warehouse", entries[0].ID)
	assert.Equal(t, "shared", entries[len(entries)-1].ID)
}

func TestFileAndEntryPrintWithoutTheirData(t *testing.T) {
	file := File{Path: "variables/region", Data: []byte("north")}
	assert.Equal(t, "variables/region (5 bytes)", file.String())
	assertRedacted(t, file, "north")
	assert.Equal(t, `variable "region" (5 bytes)`, newContent().Entries[1].String())
	assertRedacted(t, newContent().Entries[1], "north")
	assertRedacted(t, newContent(), "north")
}

func assertRedacted(t *testing.T, value any, needle string) {
	t.Helper()
	assert.NotContains(t, everyForm(t, value), needle)
	assert.False(t, strings.Contains(everyForm(t, value), "6e6f727468"), "in hexadecimal")
}

func TestWriteDeletesAGenerationWhateverIsInIt(t *testing.T) {
	for name, change := range map[string]func(shown string) error{
		"a file more":      func(shown string) error { return os.WriteFile(filepath.Join(shown, "variables", "more"), nil, 0o400) },
		"a directory more": func(shown string) error { return os.Mkdir(filepath.Join(shown, "more"), 0o700) },
		"a file less":      func(shown string) error { return os.Remove(filepath.Join(shown, "variables", "region")) },
		"no directory":     func(shown string) error { return os.RemoveAll(filepath.Join(shown, "airflow")) },
	} {
		t.Run(name, func(t *testing.T) {
			target := newVolume(t, megabyte)
			_, err := Write(target, newContent())
			require.NoError(t, err)
			require.NoError(t, change(filepath.Join(target, layout.DataLink)))

			content := newContent()
			content.Entries = content.Entries[:1]
			_, err = Write(target, content)
			require.NoError(t, err)
			assert.Empty(t, strayNames(t, target))
			assertShows(t, target, content)
		})
	}
}
