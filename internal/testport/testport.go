// Package testport finds addresses for programs that a test starts, ends and starts again.
package testport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"testing"
)

// Ports below those that Linux gives to clients (32768 and up, unless it is told
// otherwise): while nobody listens on one, no connection of another test takes it, nor
// does a client that tries it reach itself.
const (
	first = 10_000
	count = 20_000
	tries = 100
)

// Free is an address of loopback, as HOST:PORT, on which nobody listens.
func Free() (address string, err error) {
	for range tries {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.N(count)))
		var listener net.Listener
		if listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", address); err == nil {
			return address, listener.Close()
		}
	}
	return "", errors.Join(errors.New("finding a free port"), err)
}

// SocketDir is a directory, as long as the test lasts, whose name is short enough for a unix socket in it.
func SocketDir(t testing.TB) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(directory); err != nil {
			t.Error(err)
		}
	})
	return directory
}

// LeaveSocket leaves a unix socket on which nobody listens, as a program that was killed does.
func LeaveSocket(t testing.TB, path string) {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
}
