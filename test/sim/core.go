package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	entries = 10
	// heartbeat is shorter than core's own, so that its cost shows soon.
	heartbeat = 10 * time.Second
	rules     = "rules: [{tenants: ['*'], dags: ['*'], connections: ['*'], variables: ['*']}]\n"
)

// sim is the bundled core, as a process, and the nodes that watch it.
type sim struct {
	dir, address string
	process      *stack.Process
	pki          *stack.PKI
	tokens       []string // one for each pod of a node
	pods         int
	nodes        []*node
	mark         int
}

func start(ctx context.Context, program string, pods int, settings ...string) (s *sim, err error) {
	dir, err := os.MkdirTemp("", "leoflow-sim-")
	if err != nil {
		return nil, err
	}
	s = &sim{dir: dir, pods: pods}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.writeFiles(); err != nil {
		return nil, err
	}
	s.process, err = stack.Run(program, append([]string{"serve", "--listen=127.0.0.1:0", "--connections=" + s.path("connections.json"),
		"--rules=" + s.path("rules.yaml"), "--cert=" + s.path("core.crt"), "--key=" + s.path("core.key"), "--client-ca=" + s.pki.CA(),
		"--jwt-key-file=" + s.path("jwt.key"), "--audit-log=" + os.DevNull, "--log-format=json",
		"--max-connections=16384", "--max-peer-connections=16384"}, settings...)...) // all nodes may be one address
	if err != nil {
		return nil, err
	}
	line, err := s.process.WaitFor(ctx, `"address":"`)
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(line, `"address":"`)
	s.address, _, _ = strings.Cut(rest, `"`)
	s.tokens, err = stack.MintTokens(s.path("jwt.key"), s.pods, auth.Caller{Tenant: "acme", DAG: "daily"}, time.Hour)
	return s, err
}

func (s *sim) path(name string) string { return filepath.Join(s.dir, name) }

func (s *sim) writeFiles() (err error) {
	if s.pki, err = stack.NewPKI(s.dir); err != nil {
		return err
	}
	for _, name := range []string{"core", "node"} {
		if _, _, err := s.pki.Issue(name); err != nil {
			return err
		}
	}
	key := rand.Text() + rand.Text()
	return errors.Join(os.WriteFile(s.path("jwt.key"), []byte(key), 0o600),
		os.WriteFile(s.path("rules.yaml"), []byte(rules), 0o600), s.rotate())
}

// rotate changes one connection, by one rename.
func (s *sim) rotate() error {
	s.mark++
	all := map[string]any{}
	for i := range entries {
		all["conn_"+strconv.Itoa(i)] = map[string]any{
			"conn_type": "postgres", "host": "db.internal", "login": "etl", "password": "password", "extra": `{"sslmode": "require"}`,
		}
	}
	all["conn_0"] = fmt.Sprintf("postgres://etl:password-%d@db.internal/reports", s.mark)
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	next := s.path("connections.next")
	return errors.Join(os.WriteFile(next, text, 0o600), os.Rename(next, s.path("connections.json")))
}

func (s *sim) close() {
	for _, n := range s.nodes {
		n.stop()
	}
	if s.process != nil {
		s.process.Kill()
	}
	_ = os.RemoveAll(s.dir)
}
