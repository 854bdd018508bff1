// Package stack starts the real programs side by side on this machine, for the demo, the
// benchmarks and the tests that need all of them: core and driver as processes, TLS
// between them, and a stand-in for kubelet.
package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Options are what a stack is made of. Connections, Variables and Rules are the
// contents of core's files.
type Options struct {
	// Bin is the directory of the built programs.
	Bin                           string
	Connections, Variables, Rules string
	// ConnectionsName is the name of core's file of connections, whose suffix says its
	// format; connections.json where it is empty.
	ConnectionsName string
	// CoreArgs and DriverArgs are added to the command lines. Of DriverArgs each goes to the one of driver
	// and fetcher that has such a flag, or to both.
	CoreArgs, DriverArgs []string
	// CoreUnder, DriverUnder and FetcherUnder are command lines that run the command line which follows
	// them in their own process; none runs it as it is.
	CoreUnder, DriverUnder, FetcherUnder []string
	// CallAddress is where the driver calls core, if not at core's own address.
	CallAddress string
	// Profiles has driver and fetcher serve their profiles.
	Profiles bool
	// WithoutDriver starts core alone.
	WithoutDriver bool
}

// Stack is a running core and driver.
type Stack struct {
	// Dir holds all files; it goes with the stack.
	Dir string
	// Connections and Variables are core's files.
	Connections, Variables string
	Core, Driver, Fetcher  *Process
	// DriverBin is where StartDriver finds driver and fetcher; Options.Bin at first. A version in which
	// there is no fetcher is a driver alone.
	DriverBin string
	Kubelet   *Kubelet
	PKI       *PKI
	options   Options
	address   string
	// fetcherBin is where the fetcher that was started last is from.
	fetcherBin string
	// started are all processes, those too that others have replaced.
	started []*Process
}

const startTimeout = 20 * time.Second

// Start starts core, then the driver, and returns when both serve. What was started is
// stopped again if something fails.
func Start(ctx context.Context, options Options) (s *Stack, err error) {
	dir, err := os.MkdirTemp("", "leoflow-")
	if err != nil {
		return nil, err
	}
	s = &Stack{
		Dir: dir, options: options, DriverBin: options.Bin,
		Connections: filepath.Join(dir, cmp.Or(options.ConnectionsName, "connections.json")), Variables: filepath.Join(dir, "variables.json"),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.writeFiles(); err != nil {
		return s, err
	}
	if err := s.StartCore(ctx); err != nil {
		return s, err
	}
	if options.WithoutDriver {
		return s, nil
	}
	if err := s.StartDriver(ctx); err != nil {
		return s, err
	}
	s.Kubelet, err = DialKubelet(s.Socket(), filepath.Join(dir, "pods"))
	return s, err
}

func (s *Stack) path(name string) string { return filepath.Join(s.Dir, name) }

// Socket is the driver's.
func (s *Stack) Socket() string { return s.path("csi.sock") }

func (s *Stack) program(name string) string { return filepath.Join(s.options.Bin, name) }

func (s *Stack) writeFiles() (err error) {
	if s.PKI, err = NewPKI(s.Dir); err != nil {
		return err
	}
	for _, name := range []string{"core", "node"} {
		if _, _, err := s.PKI.Issue(name); err != nil {
			return err
		}
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	for name, content := range map[string]string{
		filepath.Base(s.Connections): s.options.Connections, "variables.json": s.options.Variables,
		"rules.yaml": s.options.Rules, "jwt.key": base64.StdEncoding.EncodeToString(key),
	} {
		if err := os.WriteFile(s.path(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// StartCore starts core, at the address that it had before if it was started before.
func (s *Stack) StartCore(ctx context.Context) (err error) {
	if s.address == "" {
		if s.address, err = testport.Free(); err != nil {
			return err
		}
	}
	s.Core, err = s.StartReplica(ctx, s.address, s.options.CoreArgs...)
	return err
}

// StartReplica starts a core of the same files at another address. It ends with the stack.
func (s *Stack) StartReplica(ctx context.Context, address string, args ...string) (*Process, error) {
	replica, err := s.run(s.options.CoreUnder, s.program("core"), append([]string{
		"serve", "--listen=" + address, "--connections=" + s.Connections, "--variables=" + s.Variables,
		"--rules=" + s.path("rules.yaml"), "--cert=" + s.path("core.crt"), "--key=" + s.path("core.key"),
		"--client-ca=" + s.PKI.CA(), "--jwt-key-file=" + s.path("jwt.key"), "--log-format=json", "--allow-empty",
	}, args...)...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err = replica.WaitFor(ctx, `"address":"`)
	return replica, err
}

func (s *Stack) run(under []string, program string, args ...string) (*Process, error) {
	if len(under) > 0 {
		args = slices.Concat(under[1:], []string{program}, args)
		program = under[0]
	}
	process, err := Run(program, args...)
	if err == nil {
		s.started = append(s.started, process)
	}
	return process, err
}

// Address is core's.
func (s *Stack) Address() string { return s.address }

// Token mints a per-task-instance token by 'core token'.
func (s *Stack) Token(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	args = append([]string{"token", "--jwt-key-file=" + s.path("jwt.key")}, args...)
	out, err := exec.CommandContext(ctx, s.program("core"), args...).Output()
	if err != nil {
		return "", fmt.Errorf("minting a token: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Tokens mints tokens for n tries of one task: kubelet gives no two pods the same.
func (s *Stack) Tokens(n int, task auth.Caller, ttl time.Duration) ([]string, error) {
	key, err := os.ReadFile(s.path("jwt.key"))
	if err != nil {
		return nil, err
	}
	minter, err := auth.NewTokens(secret.New(string(key)), ttl, time.Now)
	if err != nil {
		return nil, err
	}
	tokens := make([]string, n)
	for i := range tokens {
		task.Try = i + 1
		token, err := minter.Mint(task, ttl)
		if err != nil {
			return nil, err
		}
		tokens[i] = token.Reveal()
	}
	return tokens, nil
}

// ReplaceInConnections edits core's file of connections, in one rename.
func (s *Stack) ReplaceInConnections(old, with string) error {
	content, err := os.ReadFile(s.Connections)
	if err != nil {
		return err
	}
	return s.WriteConnections(strings.ReplaceAll(string(content), old, with))
}

// WriteConnections replaces core's file of connections, in one rename.
func (s *Stack) WriteConnections(content string) error {
	temporary := s.path("connections.next")
	if err := os.WriteFile(temporary, []byte(content), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, s.Connections)
}

// Close unmounts what is published, pods first and the driver last, stops the
// processes and deletes the files. It is an error if one of them printed anything that is
// no line of its log.
func (s *Stack) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var errs []error
	if s.Kubelet != nil {
		errs = append(errs, s.Kubelet.UnpublishAll(ctx), s.Kubelet.Close())
	}
	for _, process := range []*Process{s.Driver, s.Fetcher, s.Core} {
		if process != nil {
			errs = append(errs, process.Stop())
		}
	}
	for _, process := range s.started {
		errs = append(errs, process.output.check())
	}
	return errors.Join(append(errs, os.RemoveAll(s.Dir))...)
}
