//go:build sim

package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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
	*stack.Stack
	tokens []string // one for each pod of a node
	pods   int
	nodes  []*node
	mark   int
}

func start(ctx context.Context, program string, pods int, settings ...string) (s *sim, err error) {
	s = &sim{pods: pods}
	s.Stack, err = stack.Start(ctx, stack.Options{
		Bin: filepath.Dir(program), Connections: connections(0), Variables: "{}", Rules: rules, WithoutDriver: true,
		CoreArgs: append([]string{"--audit-log=" + os.DevNull,
			"--caller-audit-rate=1000000000",                                         // all nodes' pods have the same few tokens
			"--max-connections=16384", "--max-peer-connections=16384"}, settings...), // all nodes may be one address
	})
	if err != nil {
		return nil, err
	}
	if s.tokens, err = s.Tokens(s.pods, auth.Caller{Tenant: "acme", DAG: "daily"}, time.Hour); err != nil {
		s.close()
	}
	return s, err
}

func (s *sim) path(name string) string { return filepath.Join(s.Dir, name) }

// rotate changes one connection, by one rename.
func (s *sim) rotate() error {
	s.mark++
	return s.WriteConnections(connections(s.mark))
}

// connections are core's, of which the first has the mark.
func connections(mark int) string {
	all := map[string]any{}
	for i := range entries {
		all["conn_"+strconv.Itoa(i)] = map[string]any{
			"conn_type": "postgres", "host": "db.internal", "login": "etl", "password": "password", "extra": `{"sslmode": "require"}`,
		}
	}
	all["conn_0"] = fmt.Sprintf("postgres://etl:password-%d@db.internal/reports", mark)
	text, _ := json.Marshal(all) // of maps and texts alone
	return string(text)
}

func (s *sim) close() {
	for _, n := range s.nodes {
		n.stop()
	}
	_ = s.Close()
}
