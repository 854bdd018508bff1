package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/stack"
)

// TestSeriesStayAsManyHoweverManyPodsAndSecrets serves a thousand pods, each of its own
// namespace and service account, a connection and a variable of its own.
func TestSeriesStayAsManyHoweverManyPodsAndSecrets(t *testing.T) {
	const pods = 1000
	var connections, variables strings.Builder
	for i := range pods {
		fmt.Fprintf(&connections, "needle_connection_%d: postgres://host/%d\n", i, i)
		fmt.Fprintf(&variables, "needle_variable_%d: value\n", i)
	}
	directory := t.TempDir()
	for name, content := range map[string]string{"connections.yaml": connections.String(), "variables.yaml": variables.String()} {
		require.NoError(t, os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600))
	}
	address := freeAddress(t)
	b := boot(t, "--health-address="+address, "--volume-size=64Ki",
		"--file-connections="+filepath.Join(directory, "connections.yaml"), "--file-variables="+filepath.Join(directory, "variables.yaml"))

	serveOne := func(i int) {
		pod := stack.Pod{
			Name: fmt.Sprint("needle-pod-", i), Namespace: fmt.Sprint("needle-namespace-", i),
			ServiceAccount: fmt.Sprint("needle-account-", i), UID: fmt.Sprint("needle-uid-", i),
			Attributes: map[string]string{
				"connections": fmt.Sprintf("needle_connection_%d, needle_ghost_%d?", i, i),
				"variables":   fmt.Sprint("needle_variable_", i),
			},
		}
		require.NoError(t, b.kubelet.Publish(t.Context(), pod))
		pod.Attributes["connections"] = fmt.Sprint("needle_ghost_", i)
		pod.UID += "-refused"
		require.Error(t, b.kubelet.Publish(t.Context(), pod))
	}
	serveOne(0)
	code, before := ask(t, "http://"+address+"/metrics")
	require.Equal(t, http.StatusOK, code)
	for i := 1; i < pods; i++ {
		serveOne(i)
	}
	_, after := ask(t, "http://"+address+"/metrics")
	assert.Equal(t, series(before), series(after))
	assert.NotContains(t, after, "needle")
	assert.Contains(t, after, `leoflow_csi_volumes{provider="file"} 1000`)
	assert.Contains(t, after, `leoflow_csi_refusals_total{provider="file",reason="missing"} 2000`)
	assert.Contains(t, after, `leoflow_csi_publish_duration_seconds_count{code="NotFound"} 1000`)
	for i := range pods {
		require.NoError(t, b.kubelet.Unpublish(t.Context(), stack.Pod{UID: fmt.Sprint("needle-uid-", i)}))
	}
	_, empty := ask(t, "http://"+address+"/metrics")
	assert.Contains(t, empty, "leoflow_csi_volume_bytes 0\n")
}

// series are the names with their labels, without Go's own, whose runtime decides.
func series(page string) []string {
	var names []string
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "leoflow_csi_") {
			names = append(names, line[:strings.LastIndex(line, " ")])
		}
	}
	return names
}
