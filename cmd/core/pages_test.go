package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/metric"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// What is not in force is told by metrics and by health, which says ok all the same: a restart
// would mend no file.
func TestPagesTellWhatIsNotInForce(t *testing.T) {
	directory := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(directory, name)
		require.NoError(t, os.WriteFile(path+".new", []byte(content), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
		return path
	}
	metrics := metric.New()
	tokens, err := auth.NewTokens(secret.New("n33dle-jwt-key-with-some-entropy-0123456789"), time.Hour, time.Now)
	require.NoError(t, err)
	server, err := coreserver.New(coreserver.Config{
		Connections: write("c.json", `{"c": "http://u:n33dle@h", "d": "http://h"}`), Rules: write("rules.yaml", "rules: []\n"),
		Plaintext: true, Authenticator: tokens, VersionSecret: tokens.Key(), Audit: io.Discard, Observer: metrics,
	})
	require.NoError(t, err)
	handler := corePages(server, metrics)
	get := func(path string) string {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		assert.Equal(t, http.StatusOK, answer.Code)
		assert.NotContains(t, answer.Body.String(), "n33dle")
		return answer.Body.String()
	}
	assert.Equal(t, "ok\n", get("/healthz"))
	assert.Contains(t, get("/metrics"), "leoflow_core_entries{kind=\"connection\"} 2\n")

	write("c.json", `{"c": "http://u:n33dle@h"}`)
	write("rules.yaml", "rules: [n33dle")
	server.Reload()
	assert.Regexp(t, `^ok\nnot in force since 20\S+Z: \S+/rules.yaml:1: is not YAML: .*\n$`, get("/healthz"))
	page := get("/metrics")
	assert.Contains(t, page, "leoflow_core_files_not_in_force 1\n")
	assert.Contains(t, page, "leoflow_core_entries_dropped_total 1\n")
}
