//go:build airflow

package metastore

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// judgeExporter runs the chart's own line with this Airflow, and has core check what it wrote.
func (c *court) judgeExporter(bin string) {
	t := c.t
	// Of a row that it cannot decrypt Airflow exports nothing, nor of any other.
	c.query(c.database, "DELETE FROM connection WHERE conn_id = 'undecryptable'")
	connections, variables := c.export("60")
	said, err := exec.CommandContext(t.Context(), filepath.Join(bin, "core"), "check", "--connections", connections, "--variables", variables).CombinedOutput()
	t.Logf("core check of what was exported: %v, %d lines", err, strings.Count(string(said), "\n"))
	content, err := os.ReadFile(connections)
	require.NoError(t, err)
	assert.Contains(t, string(content), "by_command")
	assert.NotContains(t, string(said), "by_command", "a good connection is no problem")
	assert.NotContains(t, string(said), "n33dle")
}

// export runs the exporter of the chart until the test ends, and returns the files that it writes once
// they are there.
func (c *court) export(everySeconds string) (connections, variables string) {
	t := c.t
	t.Helper()
	deployment, err := os.ReadFile("../../charts/leoflow-secrets-csi/templates/core/deployment.yaml")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(deployment), "command: [bash, -c, '")
	require.True(t, found)
	line, _, _ := strings.Cut(rest, "']")
	dir := t.TempDir()
	line = strings.NewReplacer("/export/", dir+"/", "{{ .everySeconds }}", everySeconds).Replace(line)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	command := c.command(ctx, "bash", "-c", line)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		cancel()
		_ = command.Wait()
	})
	connections, variables = filepath.Join(dir, "connections.json"), filepath.Join(dir, "variables.json")
	require.Eventually(t, func() bool { _, err := os.Stat(variables); return err == nil }, time.Minute, 50*time.Millisecond)
	return connections, variables
}
