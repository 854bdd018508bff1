package unixsocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/pause"
)

// maxSocketPath is what fits into sockaddr_un with its closing NUL.
const maxSocketPath = 107

// listenUnix serves a unix socket that only its owner can connect to, and this user's group where the owner
// is another: a driver has dropped the capability to pass over modes, and has to ask at its next start
// whether anybody serves what a killed one left.
//
//  1. make the directory and lock it, so that two drivers that start at once take
//     turns; the lock is not needed once the socket answers;
//  2. clear away what a killed driver left, and refuse to take a live one's place;
//  3. bind, with the mode set before there is a name to connect to, and give it to its owner.
//
// Closing the listener leaves the file to the caller.
func listenUnix(ctx context.Context, path string, owner int) (*net.UnixListener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("socket path %s has %d bytes; the kernel allows %d", path, len(path), maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil { // 1
		return nil, fmt.Errorf("making the socket's directory: %w", err)
	}
	unlock, err := lockDirectory(ctx, filepath.Dir(path), owner)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := clearStale(ctx, path); err != nil { // 2
		return nil, err
	}
	// 3: Linux gives the bound file the mode of the socket.
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var err error
		controlErr := conn.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(controlErr, err)
	}}
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	made := listener.(*net.UnixListener)
	made.SetUnlinkOnClose(false)
	if owner != os.Geteuid() {
		if err := errors.Join(os.Chmod(path, 0o660), os.Lchown(path, owner, os.Getegid())); err != nil { //nolint:gosec // for this group
			_ = made.Close()
			return nil, fmt.Errorf("giving the socket to its user: %w", err)
		}
	}
	return made, nil
}

const (
	// lockFor is how long a lock is waited for, which nobody of ours keeps that long, and lockAgain how
	// soon it is tried again.
	lockFor, lockAgain = 5 * time.Second, 5 * time.Millisecond
)

// lockDirectory gives up, or goes on without where the socket is to be another user's: whoever may look
// into the directory can lock it, and must not keep a driver from starting.
func lockDirectory(ctx context.Context, directory string, owner int) (unlock func(), err error) {
	handle, err := os.Open(directory)
	if err != nil {
		return nil, fmt.Errorf("opening the socket's directory: %w", err)
	}
	unlock = func() { _ = handle.Close() }
	for until := time.Now().Add(lockFor); ; {
		err := unix.Flock(int(handle.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return unlock, nil
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			unlock()
			return nil, fmt.Errorf("locking %s: %w", directory, err)
		case time.Now().After(until) && owner != os.Geteuid():
			return unlock, nil
		case time.Now().After(until):
			unlock()
			return nil, fmt.Errorf("locking %s: another process has it locked for more than %v", directory, lockFor)
		}
		if !pause.Wait(ctx, lockAgain) {
			unlock()
			return nil, fmt.Errorf("locking %s: %w", directory, ctx.Err())
		}
	}
}

// clearStale removes a socket that nobody listens on.
func clearStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("looking for an earlier socket: %w", err)
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket; remove it or choose another path", path)
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("another driver serves %s; stop it first", path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("asking whether another driver serves %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the socket of an earlier driver: %w", err)
	}
	return nil
}
