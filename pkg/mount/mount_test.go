package mount

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestMountMakesACappedPrivateTmpfs(t *testing.T) {
	target := newVolume(t, megabyte)

	var stat unix.Statfs_t
	require.NoError(t, unix.Statfs(target, &stat))
	const wanted = unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC
	assert.EqualValues(t, unix.TMPFS_MAGIC, stat.Type)
	assert.EqualValues(t, wanted, stat.Flags&wanted)
	assert.EqualValues(t, 2*megabyte, int64(stat.Blocks)*stat.Bsize, "one generation, and the next")
	assert.EqualValues(t, 2*(megabyte/pageSize+64), stat.Files)

	info, err := os.Stat(target)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "nobody enters before there is something to read")
}

func TestMountKeepsOutOfSwapWhereTheKernelCan(t *testing.T) {
	assert.Equal(t, kernelTakesNoswap(t), strings.Contains(superOptions(t, newVolume(t, megabyte)), "noswap"))
}

// kernelTakesNoswap asks with a mount that has no other option.
func kernelTakesNoswap(t *testing.T) bool {
	target := t.TempDir()
	if unix.Mount("probe", target, "tmpfs", 0, "noswap") != nil {
		return false
	}
	require.NoError(t, unix.Unmount(target, 0))
	return true
}

// superOptions are the file system's own options, the last field of mountinfo.
func superOptions(t *testing.T, target string) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	escaped := strings.ReplaceAll(target, " ", `\040`)
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, " "+escaped+" ") {
			fields := strings.Fields(line)
			return fields[len(fields)-1]
		}
	}
	require.Fail(t, "not mounted", target)
	return ""
}

// A node may be set up to spend 2 MiB on each small file. Of a mounted tmpfs the kernel
// tells only what is not "never", so it is the option itself that can be looked at.
func TestMountSpendsNoHugePagesOnSmallFiles(t *testing.T) {
	assert.Contains(t, tmpfsOptions(Options{SizeBytes: megabyte}), tmpfsOption{"huge", "never"})
}

func TestMountTwiceKeepsWhatIsThere(t *testing.T) {
	target := newVolume(t, megabyte)
	_, err := Write(target, newContent())
	require.NoError(t, err)

	created, err := new(Mounter).Mount(target, Options{SizeBytes: megabyte})
	require.NoError(t, err)
	assert.False(t, created)
	assert.FileExists(t, filepath.Join(target, "variables/region"))
	assert.Len(t, mountsAt(t, target), 1)
}

func mountsAt(t *testing.T, target string) []Info {
	t.Helper()
	infos, err := readMountinfo(func(info Info) bool { return info.Target == target })
	require.NoError(t, err)
	return infos
}

func TestMountAtOnceMakesOneMount(t *testing.T) {
	target, mounter := filepath.Join(t.TempDir(), "mount"), new(Mounter)
	defer func() { require.NoError(t, Unmount(target)) }()
	results := make(chan bool)
	for range 8 {
		go func() {
			created, err := mounter.Mount(target, Options{SizeBytes: megabyte})
			assert.NoError(t, err)
			results <- created
		}()
	}
	made := 0
	for range 8 {
		if testwait.Receive(t, results) {
			made++
		}
	}
	assert.Equal(t, 1, made)
	assert.Len(t, mountsAt(t, target), 1)
}

func TestMountUsesADirectoryThatIsThere(t *testing.T) {
	target := t.TempDir()
	created, err := new(Mounter).Mount(target, Options{SizeBytes: megabyte})
	require.NoError(t, err)
	assert.True(t, created)
	require.NoError(t, Unmount(target))
}

func TestMountRefusesATargetAndTouchesNothing(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, dir string) (target string)
		want    error
		message string
	}{
		"relative":  {func(*testing.T, string) string { return "mount" }, ErrTarget, "it must be absolute and clean"},
		"unclean":   {func(_ *testing.T, dir string) string { return dir + "/../mount" }, ErrTarget, "it must be absolute and clean"},
		"the root":  {func(*testing.T, string) string { return "/" }, ErrTarget, "it must be absolute and clean"},
		"no parent": {func(_ *testing.T, dir string) string { return dir + "/a/b" }, os.ErrNotExist, "making target path"},
		"a file":    {makeFile, ErrTarget, "it is a link or a file"},
		"a link to a directory": {func(t *testing.T, dir string) string {
			require.NoError(t, os.Mkdir(dir+"/elsewhere", 0o755))
			return makeLink(t, dir, "elsewhere")
		}, ErrTarget, "it is a link or a file"},
		"a link to nowhere": {func(t *testing.T, dir string) string { return makeLink(t, dir, "nowhere") }, ErrTarget, "it is a link or a file"},
		"a directory with content": {func(t *testing.T, dir string) string {
			require.NoError(t, os.MkdirAll(dir+"/mount/kept", 0o755))
			return dir + "/mount"
		}, ErrNotEmpty, "it holds files that are not ours"},
		"another's tmpfs": {mountForeign, ErrForeign, "another file system is mounted there"},
		"a bind mount":    {mountBind, ErrForeign, "another file system is mounted there"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target := test.prepare(t, dir)
			before := tree(t, dir)
			created, err := new(Mounter).Mount(target, Options{SizeBytes: megabyte})
			require.ErrorIs(t, err, test.want)
			assert.ErrorContains(t, err, test.message)
			assert.False(t, created)
			assert.Equal(t, before, tree(t, dir))
			assert.LessOrEqual(t, len(mountsAt(t, target)), 1)
		})
	}
}

func TestMountThatFailsLeavesNoDirectory(t *testing.T) {
	target := filepath.Join(t.TempDir(), "mount")
	withoutPrivilege(t, func() {
		_, err := new(Mounter).Mount(target, Options{SizeBytes: megabyte})
		require.ErrorIs(t, err, os.ErrPermission)
		assert.ErrorContains(t, err, "the driver has to be privileged")
	})
	assert.NoDirExists(t, target)
}

// withoutPrivilege runs a function on a thread that may not mount.
func withoutPrivilege(t *testing.T, run func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	require.NoError(t, unix.Capget(&header, &had[0]))
	has := had
	has[0].Effective &^= 1 << unix.CAP_SYS_ADMIN
	require.NoError(t, unix.Capset(&header, &has[0]))
	defer func() { require.NoError(t, unix.Capset(&header, &had[0])) }()
	run()
}

func TestMountRefusesASizeThatIsNoCap(t *testing.T) {
	target := filepath.Join(t.TempDir(), "mount")
	for _, size := range []int64{0, -1} {
		_, err := new(Mounter).Mount(target, Options{SizeBytes: size})
		require.ErrorContains(t, err, "size must be positive")
		assert.NoDirExists(t, target)
	}
}

func makeFile(t *testing.T, dir string) string {
	target := filepath.Join(dir, "mount")
	require.NoError(t, os.WriteFile(target, nil, 0o600))
	return target
}

func makeLink(t *testing.T, dir, destination string) string {
	target := filepath.Join(dir, "mount")
	require.NoError(t, os.Symlink(destination, target))
	return target
}

func mountForeign(t *testing.T, dir string) string {
	return mountOther(t, dir, func(target string) error { return unix.Mount("other", target, "tmpfs", 0, "size=64k") })
}

// mountBind mounts part of a volume of ours, as kubelet does for a subPath.
func mountBind(t *testing.T, dir string) string {
	volume := newVolume(t, megabyte)
	_, err := Write(volume, newContent())
	require.NoError(t, err)
	return mountOther(t, dir, func(target string) error {
		return unix.Mount(volume+"/..data/variables", target, "", unix.MS_BIND, "")
	})
}

func mountOther(t *testing.T, dir string, mount func(target string) error) string {
	target := filepath.Join(dir, "mount")
	require.NoError(t, os.Mkdir(target, 0o755))
	require.NoError(t, mount(target))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(target, unix.MNT_DETACH)) })
	return target
}

// tree lists what is below dir.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var paths []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		paths = append(paths, path+" "+entry.Type().String())
		return err
	}))
	return paths
}
