package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/test/stack"
)

// TestSeriesStayAsManyHoweverManyPodsAndSecrets serves many pods, each of its own namespace
// and service account, a connection and a variable of its own.
func TestSeriesStayAsManyHoweverManyPodsAndSecrets(t *testing.T) {
	pods := testlong.Count(100, 1000)
	connections, variables := map[string]string{}, map[string]string{}
	for i := range pods {
		connections[fmt.Sprint("needle_connection_", i)] = "postgres://host/base"
		variables[fmt.Sprint("needle_variable_", i)] = "value"
	}
	directory := t.TempDir()
	for name, entries := range map[string]map[string]string{"connections.json": connections, "variables.json": variables} {
		content, err := json.Marshal(entries)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(directory, name), content, 0o600))
	}
	address := freeAddress(t)
	b := boot(t, "--health-address="+address, "--poll-every=1h",
		"--file-connections="+filepath.Join(directory, "connections.json"), "--file-variables="+filepath.Join(directory, "variables.json"))

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
		if i%10 > 0 {
			return
		}
		pod.Attributes["connections"] = fmt.Sprint("needle_ghost_", i)
		pod.UID += "-refused"
		require.Error(t, b.kubelet.Publish(t.Context(), pod))
	}
	const first = 10
	for i := range first {
		serveOne(i)
	}
	code, before := ask(t, "http://"+address+"/metrics")
	require.Equal(t, http.StatusOK, code)
	for i := first; i < pods; i++ {
		serveOne(i)
	}
	_, after := ask(t, "http://"+address+"/metrics")
	assert.Equal(t, series(before), series(after))
	assert.NotContains(t, after, "needle")
	assert.Contains(t, after, fmt.Sprintf(`leoflow_csi_volumes{source="file"} %d`+"\n", pods))
	assert.Contains(t, after, fmt.Sprintf(`leoflow_csi_publish_duration_seconds_count{code="NotFound"} %d`+"\n", pods/10))
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
