package unixsocket

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestWhatIsNoSocketIsLeftAlone(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	long := filepath.Join(directory, strings.Repeat("s", 100))
	for path, message := range map[string]string{
		file: file + " exists and is not a socket; remove it or choose another path",
		long: "socket path " + long + " has ",
	} {
		_, err := Listen(t.Context(), path, os.Geteuid())
		assert.ErrorContains(t, err, message)
	}
	assert.FileExists(t, file)
}

// With a stale socket to clear away, one driver could take the fresh one of another.
func TestOfDriversThatStartAtOnceOneServes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "csi.sock")
	for range 50 {
		testport.LeaveSocket(t, path)
		sockets := make([]*Socket, 8)
		var wait sync.WaitGroup
		for i := range sockets {
			wait.Go(func() {
				if made, err := Listen(t.Context(), path, os.Geteuid()); err == nil {
					sockets[i] = made
				}
			})
		}
		wait.Wait()
		sockets = slices.DeleteFunc(sockets, func(made *Socket) bool { return made == nil })
		require.Len(t, sockets, 1)
		require.NoError(t, sockets[0].Close())
	}
}

// TestAClosedSocketStaysAway: whoever looks after it may be at work when the driver ends.
func TestAClosedSocketStaysAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "csi.sock")
	made, err := Listen(t.Context(), path, os.Geteuid())
	require.NoError(t, err)
	require.NoError(t, made.Close())
	require.NoError(t, made.listen(t.Context()))
	assert.NoFileExists(t, path)
	require.NoError(t, made.Close(), "twice, as gRPC does")
}

// A socket is its owner's from the start, and nobody else may connect to it.
func TestASocketIsItsOwners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "csi.sock")
	owner, mode := os.Geteuid(), os.FileMode(0o600)
	if owner == 0 {
		owner, mode = 65532, 0o660
	}
	made, err := Listen(t.Context(), path, owner)
	require.NoError(t, err)
	defer func() { assert.NoError(t, made.Close()) }()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, os.ModeSocket|mode, info.Mode())
	assert.Equal(t, uint32(owner), info.Sys().(*syscall.Stat_t).Uid)
	assert.Equal(t, uint32(os.Getegid()), info.Sys().(*syscall.Stat_t).Gid)
}

// A driver that was killed left the fetcher's socket, and the next has no capability to pass over modes: it
// could not ask whether anybody serves it, and ended at each start.
func TestWhatAKilledDriverLeftToTheFetcherIsClearedWithoutCapabilities(t *testing.T) {
	directory, owner := t.TempDir(), os.Geteuid()
	if owner == 0 {
		owner = 65532
		require.NoError(t, os.Chown(directory, -1, owner)) // as kubelet gives it to the pod's fsGroup
		require.NoError(t, os.Chmod(directory, 0o777|os.ModeSetgid))
	}
	path := filepath.Join(directory, "fetcher.sock")
	left, err := listenUnix(t.Context(), path, owner)
	require.NoError(t, err)
	require.NoError(t, left.Close())
	require.FileExists(t, path)
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends with what it has dropped
		if err := keepCapabilities(1 << unix.CAP_CHOWN); err != nil {
			ended <- err
			return
		}
		next, err := listenUnix(t.Context(), path, owner)
		if err == nil {
			err = next.Close()
		}
		ended <- err
	}()
	assert.NoError(t, testwait.Receive(t, ended))
}

// keepCapabilities leaves this thread those of its own that are among them.
func keepCapabilities(keep uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	sets[0].Effective &= keep
	sets[1].Effective = 0
	return unix.Capset(&header, &sets[0])
}

// Whoever may look into a directory can lock it, such as the fetcher that of the socket where it meets
// the driver.
func TestALockThatStaysKeepsNobodyFromAnothersSocket(t *testing.T) {
	directory := t.TempDir()
	held, err := os.Open(directory)
	require.NoError(t, err)
	defer func() { assert.NoError(t, held.Close()) }()
	require.NoError(t, syscall.Flock(int(held.Fd()), syscall.LOCK_EX))
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := lockDirectory(t.Context(), directory, os.Geteuid())
		require.ErrorContains(t, err, "another process has it locked for more than 5s")
		unlock, err := lockDirectory(t.Context(), directory, os.Geteuid()+1)
		require.NoError(t, err)
		unlock()
		assert.Less(t, time.Since(began), 3*lockFor)
		ended, end := context.WithCancel(t.Context())
		end()
		_, err = lockDirectory(ended, directory, os.Geteuid())
		require.ErrorIs(t, err, context.Canceled)
	})
}
