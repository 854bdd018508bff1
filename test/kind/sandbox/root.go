package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/test/kind/state"
)

// Where the node finds its programs.
const (
	binariesInside = "/opt/node"
	searchPath     = binariesInside + ":/usr/sbin:/usr/bin:/sbin:/bin"
)

// The host's directories that the node reads its programs and libraries from.
var fromHost = []string{"/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr"}

// tunables are settings of the whole machine that kubelet sets. They are none of a
// test's business, so the node gets files in their place.
var tunables = []string{
	"/proc/sys/kernel/keys/root_maxbytes", "/proc/sys/kernel/keys/root_maxkeys",
	"/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops",
	"/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom",
}

// enter makes a root file system for the node and moves this process into it: the host's
// programs, read-only; /var and /node from the state directory; the rest its own. All
// mounts are in this process's namespace, which no mount leaves.
func enter(dir state.Dir, binaries string) error {
	root := dir.Path("root")
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := mount("tmpfs", root, "tmpfs", unix.MS_NOSUID, "mode=0755"); err != nil {
		return err
	}
	if err := populate(root, dir, binaries); err != nil {
		return err
	}
	if err := pivot(root); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := shadowTunables(); err != nil {
		return err
	}
	// What a pod with bidirectional mount propagation mounts has to reach the node.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("making mounts shared: %w", err)
	}
	return identity(dir.Name())
}

// populate mounts everything that the new root has.
func populate(root string, dir state.Dir, binaries string) error {
	for _, path := range fromHost {
		if err := lend(path, filepath.Join(root, path)); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		source, target, kind string
		flags                uintptr
		options              string
	}{
		{dir.Path("var"), "/var", "", unix.MS_BIND, ""},
		{string(dir), state.Inside, "", unix.MS_BIND, ""},
		{binaries, binariesInside, "", unix.MS_BIND, ""},
		{"/dev", "/dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{"sysfs", "/sys", "sysfs", 0, ""}, // shows the network namespace it is mounted in
		{"/sys/fs/cgroup", "/sys/fs/cgroup", "", unix.MS_BIND | unix.MS_REC, ""},
		{"proc", "/proc", "proc", 0, ""},
		{"tmpfs", "/run", "tmpfs", 0, "mode=0755"},
		{"tmpfs", "/tmp", "tmpfs", 0, "mode=1777"},
	} {
		err := mount(step.source, filepath.Join(root, step.target), step.kind, step.flags, step.options)
		if err != nil {
			return err
		}
	}
	return os.Mkdir(filepath.Join(root, "root"), 0o700)
}

// lend shows a directory of the host, read-only, or repeats the symbolic link that it is
// where /usr has everything.
func lend(path, target string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		link, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(link, target)
	}
	if err := mount(path, target, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

// pivot makes root the root of the namespace, and lets go of the old one.
func pivot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Chdir("/")
}

func shadowTunables() error {
	for _, tunable := range tunables {
		value, err := os.ReadFile(tunable)
		if err != nil {
			return err
		}
		shadow := filepath.Join("/run/tunable", tunable)
		if err := os.MkdirAll(filepath.Dir(shadow), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(shadow, value, 0o644); err != nil {
			return err
		}
		if err := unix.Mount(shadow, tunable, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("shadowing %s: %w", tunable, err)
		}
	}
	return nil
}

// identity is what programs know the node by.
func identity(name string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("naming the node: %w", err)
	}
	// Pods are reached by routing. The setting belongs to the network namespace.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("forwarding packets: %w", err)
	}
	return nil
}

func mount(source, target, kind string, flags uintptr, options string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("mounting %s: %w", target, err)
	}
	return nil
}
