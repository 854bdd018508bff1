package mount

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// A new volume is made while nobody knows yet whether it will be needed, so the driver may be
// killed at any of its system calls with the volume in any state.
func TestKilledAtEachSystemCallOfAPublish(t *testing.T) {
	whole := 0
	calls := killAtEachCall(t, testlong.Count(3, 1), "publish", func(string) {}, func(target string) {
		if mounts := mountsAt(t, target); len(mounts) > 0 {
			require.Len(t, mounts, 1)
			require.Equal(t, "0", snapshot(t, target), "what is mounted is whole")
			whole++
		}
		require.NoError(t, publish(target, 1))
	})
	assert.Greater(t, calls, 50)
	assert.Greater(t, whole, 1, "the volume was killed after it was mounted, too")
}

func TestKilledAtEachSystemCallOfARotation(t *testing.T) {
	seen := map[string]bool{}
	calls := killAtEachCall(t, testlong.Count(3, 1), "rotate", func(target string) { require.NoError(t, publish(target, 7)) }, func(target string) {
		version := snapshot(t, target)
		seen[version] = true
		require.NoError(t, rotate(target, 8))
		assertShows(t, target, uniform(8))
	})
	assert.Greater(t, calls, 50)
	assert.Equal(t, map[string]bool{"0": true, "7": true}, seen, "one or the other, and nothing between")
}

func TestKilledAtEachSystemCallOfAnUnpublish(t *testing.T) {
	whole, torn := 0, 0
	calls := killAtEachCall(t, testlong.Count(3, 1), "unpublish", func(target string) { require.NoError(t, publish(target, 7)) }, func(target string) {
		if _, err := os.Lstat(filepath.Join(target, layout.DataLink)); err == nil {
			require.Equal(t, "7", snapshot(t, target), "what passes for complete is complete")
			whole++
		} else {
			torn++
		}
	})
	assert.Greater(t, calls, 30)
	assert.NotZero(t, whole)
	assert.NotZero(t, torn)
}

// killAtEachCall has children do the work once, each at a target of its own, and kills them
// one system call later than the one before, until one comes to its end; where time is
// short, a stride of some calls later. In what state that leaves the target is for check; unpublishing it
// ends it in any.
func killAtEachCall(t *testing.T, stride int, work string, prepare, check func(target string)) (calls int) {
	t.Helper()
	parent := t.TempDir()
	for ended := false; !ended; calls += stride {
		target := filepath.Join(parent, strconv.Itoa(calls))
		prepare(target)
		ended = killAtCall(t, calls+1+rand.IntN(stride), target, work)
		check(target)
		require.NoError(t, Unmount(target))
		require.NoDirExists(t, target)
		require.Empty(t, volumesIn(t, parent))
	}
	return calls
}

// workOnce does the work, after the call by which killAtCall knows that it begins.
func workOnce(work func(string, int) error, target string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Getppid()
	return work(target, 0)
}

func unpublish(target string, _ int) error { return Unmount(target) }

// killAtCall has a child work once, and kills it as it begins the given system call from
// the one on by which it says that it begins. It reports whether the child ended before.
func killAtCall(t *testing.T, number int, target, work string) (ended bool) {
	t.Helper()
	runtime.LockOSThread() // ptrace(2) is for the thread that started the child
	defer runtime.UnlockOSThread()
	victim := exec.CommandContext(t.Context(), "/proc/self/exe")
	victim.Env = append(os.Environ(), victimTarget+"="+target, victimWork+"="+work, victimOnce+"=1")
	victim.Stderr = os.Stderr
	victim.SysProcAttr = &unix.SysProcAttr{Ptrace: true}
	require.NoError(t, victim.Start())
	defer func() { _ = victim.Process.Kill() }()
	limit := time.AfterFunc(time.Minute, func() { _ = victim.Process.Kill() })
	defer limit.Stop()

	worker := 0
	for first := true; ; first = false {
		var status unix.WaitStatus
		thread, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if err != nil {
			require.ErrorIs(t, err, unix.ECHILD)
			return ended
		}
		switch {
		case status.Exited() && thread == victim.Process.Pid:
			require.Zero(t, status.ExitStatus())
			ended = true
		case !status.Stopped():
			continue
		case first:
			require.NoError(t, unix.PtraceSetOptions(thread, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL))
		case status.StopSignal() == unix.SIGTRAP|0x80:
			call, begins := callOf(t, thread)
			switch {
			case begins && call == unix.SYS_GETPPID:
				worker = thread
			case begins && thread == worker:
				number--
			}
			if worker != 0 && number == 0 {
				require.NoError(t, victim.Process.Kill())
				number--
			}
		}
		signal := 0
		if stop := status.StopSignal(); !first && stop != unix.SIGTRAP && stop != unix.SIGTRAP|0x80 && stop != unix.SIGSTOP {
			signal = int(stop)
		}
		_ = unix.PtraceSyscall(thread, signal) // unless it was killed
	}
}

// callOf tells at which system call a thread has stopped, and whether it begins there.
func callOf(t *testing.T, thread int) (number uint64, begins bool) {
	t.Helper()
	const entered, atNumber = 1, 24 // of struct ptrace_syscall_info
	var info [88]byte
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(thread), uintptr(len(info)), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno == unix.ESRCH {
		return 0, false
	}
	require.Zero(t, errno)
	return binary.NativeEndian.Uint64(info[atNumber:]), info[0] == entered
}
