//go:build airflow

package metastore

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	podsPerNode = 110
	edits       = 3
	// promised is how soon after Airflow's commit an edit is in the last pod.
	promised = 3 * time.Second
)

const rules = `rules:
- {tenants: [acme], dags: ["*"], connections: ["*"], variables: ["*"]}
`

// judgePods has Airflow's own commands edit what 110 pods have, through the real core and driver.
// The time is from PostgreSQL's commit.
func (c *court) judgePods(bin string) {
	t := c.t
	write := func(host string) {
		file := filepath.Join(c.home, "edit.json")
		require.NoError(t, os.WriteFile(file, []byte(`{"edited": {"conn_type": "postgres", "host": "`+host+`", "login": "u", "password": "n33dle"}}`), 0o600))
		c.run("airflow", "connections", "import", "--overwrite", file)
	}
	write("first")
	c.reader() // writes the files
	s, err := stack.Start(t.Context(), stack.Options{
		Bin: bin, Connections: "{}", Variables: "{}", Rules: rules,
		CoreArgs: []string{"--airflow-db=" + filepath.Join(c.home, "url"), "--airflow-fernet-keys=" + filepath.Join(c.home, "keys")},
	})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	tokens, err := s.Tokens(podsPerNode, auth.Caller{Tenant: "acme", DAG: "metastore"}, time.Hour)
	require.NoError(t, err)
	var pods []stack.Pod
	for i, token := range tokens {
		pod := stack.Pod{Name: "pod-" + strconv.Itoa(i), UID: "uid-" + strconv.Itoa(i), Namespace: "airflow", ServiceAccount: "etl", Token: token, Attributes: map[string]string{"connections": "edited"}}
		require.NoError(t, s.Kubelet.Publish(t.Context(), pod))
		pods = append(pods, pod)
	}
	var slowest time.Duration
	for edit := range edits {
		host := fmt.Sprintf("edit-%d", edit)
		done := make(chan time.Time, 1)
		go func() { done <- c.inAll(s, pods, host) }()
		write(host)
		inLast := <-done
		seconds, err := strconv.ParseFloat(c.query(c.database, "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM connection WHERE conn_id = 'edited'"), 64)
		require.NoError(t, err)
		took := inLast.Sub(time.UnixMicro(int64(seconds * 1e6)))
		t.Logf("edit %d: in all of %d pods %v after its commit", edit, podsPerNode, took.Round(time.Millisecond))
		slowest = max(slowest, took)
	}
	assert.Less(t, slowest, promised)
	assert.NotContains(t, s.Core.Output()+s.NodeOutput(), "n33dle")
	assert.NotContains(t, s.Core.Output(), "long random")
}

// inAll is when the last pod has the host; zero where one never had it.
func (c *court) inAll(s *stack.Stack, pods []stack.Pod, host string) time.Time {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for at := 0; ; {
		for at < len(pods) {
			content, err := os.ReadFile(filepath.Join(s.Kubelet.Target(pods[at]), "connections", "edited"))
			if err != nil || !strings.Contains(string(content), "@"+host) {
				break
			}
			at++
		}
		if at == len(pods) {
			return time.Now()
		}
		select {
		case <-tick.C:
		case <-deadline:
			return time.Time{}
		}
	}
}

func programs(t *testing.T) string {
	require.Zero(t, os.Geteuid(), "mounting needs root; run it by sudo")
	bin, err := stack.Build(filepath.Join("..", ".."), "metastore")
	require.NoError(t, err)
	return bin
}
