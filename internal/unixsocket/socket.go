// Package unixsocket listens on a unix socket that one user may connect to, and keeps it reachable.
package unixsocket

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

// LookEvery is how soon a lost socket is noticed.
const LookEvery = 2 * time.Second

// Socket is a net.Listener on a unix socket that stays reachable by its path: where the
// file was deleted or replaced, whoever dials finds nobody, or somebody else, while the listener
// goes on. Keep makes the file anew. The zero value is not ready; Listen makes one.
type Socket struct {
	path string
	// owner is the user who may connect.
	owner int

	mu      sync.Mutex
	current *net.UnixListener
	file    inode
	closed  bool
}

// inode tells a file from another of the same name.
type inode struct{ device, number uint64 }

func inodeOf(path string) (inode, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return inode{}, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return inode{uint64(stat.Dev), stat.Ino}, nil //nolint:unconvert // its type is the system's
}

// Listen serves a socket at the path that the owner alone, besides root, may connect to. It takes the
// place of one that nobody listens on.
func Listen(ctx context.Context, path string, owner int) (*Socket, error) {
	made := &Socket{path: path, owner: owner}
	return made, made.listen(ctx)
}

// listen replaces the listener. Accept goes on with the new one.
func (s *Socket) listen(ctx context.Context) error {
	listener, err := listenUnix(ctx, s.path, s.owner)
	if err != nil {
		return err
	}
	file, err := inodeOf(s.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		_ = listener.Close()
		return err
	case s.closed: // meanwhile
		_ = os.Remove(s.path)
		return listener.Close()
	}
	if s.current != nil {
		_ = s.current.Close()
	}
	s.current, s.file = listener, file
	return nil
}

// Lost returns why the path does not lead to this socket, or nil.
func (s *Socket) Lost() error {
	found, err := inodeOf(s.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		return fmt.Errorf("the socket %s is gone: %w", s.path, err)
	case found != s.file:
		return fmt.Errorf("the socket %s was replaced by another file", s.path)
	}
	return nil
}

// Keep looks after the file until ctx ends, and calls renewed when it has made a new one.
func (s *Socket) Keep(ctx context.Context, every time.Duration, log *slog.Logger, renewed func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		reason := s.Lost()
		if reason == nil {
			continue
		}
		err := s.listen(ctx)
		switch {
		case err == nil:
			log.WarnContext(ctx, "made a lost socket anew", logkey.Path, s.path, logkey.Error, reason)
			told = ""
			renewed()
		case err.Error() != told && ctx.Err() == nil:
			log.ErrorContext(ctx, "cannot make a lost socket anew; trying again", logkey.Path, s.path, logkey.Error, err)
			told = err.Error()
		}
	}
}

// Accept implements net.Listener.
func (s *Socket) Accept() (net.Conn, error) {
	for {
		s.mu.Lock()
		listener := s.current
		s.mu.Unlock()
		conn, err := listener.Accept()
		if err == nil || !s.replaced(listener) {
			return conn, err
		}
	}
}

func (s *Socket) replaced(listener *net.UnixListener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && s.current != listener
}

// Close implements net.Listener. It removes the file where that is still its own.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if found, err := inodeOf(s.path); err == nil && found == s.file {
		_ = os.Remove(s.path)
	}
	return s.current.Close()
}

// Addr implements net.Listener.
func (s *Socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }
