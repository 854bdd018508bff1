package mount

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func all(Info) bool { return true }

func TestParseMountinfo(t *testing.T) {
	const text = `23 28 0:21 / /proc rw,relatime shared:12 - proc proc rw
512 28 0:77 / /pods/a\040b\134c\011d\012e/mount rw,nosuid,nodev,noexec,relatime shared:1 master:2 - tmpfs leoflow-secrets-csi rw,size=1024k
513 28 0:77 /..data/x /subpath rw - tmpfs leoflow-secrets-csi rw
514 28 0:78 / /\9\1 rw - fuse.odd  rw
`
	infos, err := parseMountinfo(strings.NewReader(text), all)
	require.NoError(t, err)
	assert.Equal(t, []Info{
		{ID: 23, Root: "/", Target: "/proc", Type: "proc", Source: "proc", Shared: true},
		{ID: 512, Root: "/", Target: "/pods/a b\\c\td\ne/mount", Type: "tmpfs", Source: Source, Shared: true},
		{ID: 513, Root: "/..data/x", Target: "/subpath", Type: "tmpfs", Source: Source},
		{ID: 514, Root: "/", Target: `/\9\1`, Type: "fuse.odd", Source: ""},
	}, infos)

	volumes, err := parseMountinfo(strings.NewReader(text), Info.isVolume)
	require.NoError(t, err)
	assert.Equal(t, infos[1:2], volumes)
}

func TestParseMountinfoRefusesABrokenLine(t *testing.T) {
	tests := map[string]string{
		"nothing":            "\n",
		"no separator":       "23 28 0:21 / /proc rw,relatime shared:12 proc proc rw",
		"too few before it":  "23 28 0:21 / /proc - proc proc rw",
		"too few after it":   "23 28 0:21 / /proc rw - proc proc",
		"no number":          "x 28 0:21 / /proc rw - proc proc rw",
		"a line without end": strings.Repeat("x", maxMountinfoLine+1),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseMountinfo(strings.NewReader(text), all)
			require.ErrorContains(t, err, "listing mounts: ")
		})
	}
}

func TestListFindsVolumesWithOddPaths(t *testing.T) {
	target := filepath.Join(t.TempDir(), "a b\\c\nd")
	_, err := new(Mounter).Mount(target, Options{SizeBytes: megabyte})
	require.NoError(t, err)
	defer func() { require.NoError(t, Unmount(target)) }()

	infos, err := List()
	require.NoError(t, err)
	// Others may have volumes on this machine.
	assert.True(t, slices.ContainsFunc(infos, func(info Info) bool { return info.Target == target }))
}

func TestIsMounted(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]struct {
		target string
		want   bool
	}{
		"a volume":        {newVolume(t, megabyte), true},
		"a directory":     {dir, false},
		"nothing":         {filepath.Join(dir, "mount"), false},
		"nothing at all":  {filepath.Join(dir, "no", "parent"), false},
		"below a volume":  {filepath.Join(newVolume(t, megabyte), "x"), false},
		"a link's parent": {filepath.Join(mustLink(t, newVolume(t, megabyte)), "x"), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			mounted, err := IsMounted(test.target)
			require.NoError(t, err)
			assert.Equal(t, test.want, mounted)
		})
	}
}

func mustLink(t *testing.T, destination string) string {
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(destination, link))
	return link
}

func FuzzParseMountinfo(f *testing.F) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(f, err)
	f.Add(string(data))
	f.Add(`512 28 0:77 / /a\040b\134 rw shared:1 - tmpfs leoflow-secrets-csi rw`)
	f.Fuzz(func(t *testing.T, text string) {
		infos, err := parseMountinfo(strings.NewReader(text), all)
		if err == nil {
			assert.LessOrEqual(t, len(infos), strings.Count(text, "\n")+1)
		}
	})
}
