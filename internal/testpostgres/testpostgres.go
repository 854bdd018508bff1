// Package testpostgres starts a real PostgreSQL server for tests.
package testpostgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/leoflow/secrets-csi/internal/testport"
)

// Tool is where Debian has a program of PostgreSQL that is not on its path, of whichever version.
// It is empty where there is none.
func Tool(name string) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) > 0 {
		return found[len(found)-1]
	}
	path, _ := exec.LookPath(name)
	return path
}

// Server is a running server. Its superuser is postgres, by the socket and without a password.
type Server struct {
	// Dir holds its files, and the socket.
	Dir     string
	Address string
	// who is what its programs run as.
	who     func(*syscall.SysProcAttr)
	command *exec.Cmd
	log     bytes.Buffer
	ended   chan struct{}
}

const nobody = 65534

// Start makes a server below dir, with settings such as "ssl=on". PostgreSQL does not run as root,
// so there it runs as nobody; where that is no user of the user namespace, in one of its own below.
func Start(ctx context.Context, dir string, settings ...string) (*Server, error) {
	s := &Server{Dir: filepath.Join(dir, "postgres"), who: func(*syscall.SysProcAttr) {}}
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		switch err := os.Chown(s.Dir, nobody, nobody); {
		case errors.Is(err, syscall.EINVAL):
			s.who = nobodyBelow
		case err != nil:
			return nil, err
		default:
			s.who = asNobody
		}
		for each := dir; each != "/" && each != os.TempDir(); each = filepath.Dir(each) {
			if err := os.Chmod(each, 0o755); err != nil {
				return nil, err
			}
		}
	}
	var err error
	if s.Address, err = testport.Free(); err != nil {
		return nil, err
	}
	_, err = s.run(ctx, Tool("initdb"), "", "-D", filepath.Join(s.Dir, "data"), "-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
	if err != nil {
		return nil, err
	}
	return s, s.Start(ctx, settings...)
}

// Start starts a server again that was stopped.
func (s *Server) Start(ctx context.Context, settings ...string) error {
	args := []string{"-D", filepath.Join(s.Dir, "data"), "-k", s.Dir, "-p", s.port(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"}
	for _, each := range settings {
		args = append(args, "-c", each)
	}
	// The context bounds the start alone.
	s.command = exec.CommandContext(context.WithoutCancel(ctx), Tool("postgres"), args...)
	s.command.Dir, s.command.SysProcAttr = s.Dir, s.attributes()
	s.command.Stdout, s.command.Stderr = &s.log, &s.log
	if err := s.command.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(command *exec.Cmd, ended chan struct{}) {
		_ = command.Wait()
		close(ended)
	}(s.command, s.ended)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := s.Query(ctx, "postgres", "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return fmt.Errorf("postgres ended: %s", s.log.String())
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w", err)
		}
	}
}

// Stop ends the server, and its connections at once.
func (s *Server) Stop() {
	if s == nil || s.command == nil {
		return
	}
	_ = s.command.Process.Signal(syscall.SIGINT)
	<-s.ended
	s.command = nil
}

// Process is the server's.
func (s *Server) Process() *os.Process { return s.command.Process }

// Query runs statements as the superuser, and returns what they print, without headers.
func (s *Server) Query(ctx context.Context, database, sql string) (string, error) {
	return s.run(ctx, Tool("psql"), sql, "-h", s.Dir, "-p", s.port(), "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-qXAt")
}

// URL is that of a database for a role, by TCP.
func (s *Server) URL(role, password, database string) string {
	return (&url.URL{Scheme: "postgresql", User: url.UserPassword(role, password), Host: s.Address, Path: "/" + database}).String()
}

func (s *Server) port() string { return s.Address[strings.LastIndexByte(s.Address, ':')+1:] }

// Port is the server's.
func (s *Server) Port() int {
	port, _ := strconv.Atoi(s.port())
	return port
}

func (s *Server) run(ctx context.Context, program, input string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Dir, command.SysProcAttr, command.Stdin = s.Dir, s.attributes(), strings.NewReader(input)
	said, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("running %s: %w\n%s", filepath.Base(program), err, said)
	}
	return strings.TrimSpace(string(said)), nil
}

func (s *Server) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.who(attributes)
	return attributes
}

func asNobody(attributes *syscall.SysProcAttr) {
	attributes.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
}

// nobodyBelow makes a user namespace in which root of this one is nobody.
func nobodyBelow(attributes *syscall.SysProcAttr) {
	attributes.Cloneflags = syscall.CLONE_NEWUSER
	attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}}
	attributes.GidMappings = attributes.UidMappings
}
