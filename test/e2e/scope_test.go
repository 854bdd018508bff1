package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/stack"
)

// ownDefault is a file of connections with one that every team has.
func ownDefault(host string) string { return fmt.Sprintf("aws_default: http://%s\n", host) }

// TestAnEditOfOneTeamHasNoOtherTeamAskAgain has two teams with an entry of one name, of which one
// has a pod on the node.
func TestAnEditOfOneTeamHasNoOtherTeamAskAgain(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path+".next", []byte(content), 0o600))
		require.NoError(t, os.Rename(path+".next", path))
	}
	write("rules/admin.yaml", "rules: []\nteams: [{name: here, tenants: [acme]}, {name: elsewhere, tenants: [other]}]\n")
	for _, team := range []string{"here", "elsewhere"} {
		write("rules/"+team+".yaml", "rules: [{tenants: ['*'], dags: ['*'], connections: ['*']}]\n")
		write("entries/"+team+".connections.yaml", ownDefault("first"))
	}
	s := start(t, stack.Options{Connections: "{}", Variables: "{}", CoreArgs: []string{
		"--rules=" + dir + "/rules", "--entries=" + dir + "/entries", "--audit-log=" + dir + "/audit.jsonl", "--log-level=debug",
	}})
	p := pod("a", token(t, s), map[string]string{"connections": "aws_default"})
	require.NoError(t, s.Kubelet.Publish(t.Context(), p))
	until := func(is func() bool) {
		t.Helper()
		require.Eventually(t, is, testwait.Limit, 5*time.Millisecond)
	}
	log := func() string {
		content, err := os.ReadFile(dir + "/audit.jsonl")
		require.NoError(t, err)
		return string(content)
	}
	// Until the node's watch shows the pod's ticket.
	until(func() bool { return strings.Count(log(), "/Watch") > 1 })
	for i := range 3 {
		write("entries/elsewhere.connections.yaml", ownDefault(fmt.Sprint("edit", i)))
		until(func() bool { return strings.Count(s.Core.Output(), "files have changed") > i })
	}
	write("entries/here.connections.yaml", ownDefault("second"))
	until(func() bool { return strings.Contains(readFrom(t, s, p, "aws_default"), "second") })
	given := 0
	for line := range strings.Lines(log()) {
		var record audit.Record
		require.NoError(t, json.Unmarshal([]byte(line), &record))
		if record.Entry == "aws_default" && record.Decision == audit.Allowed {
			given++
		}
	}
	assert.Equal(t, 2, given, "once to start with, and once for the team's own edit")
}
