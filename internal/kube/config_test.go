package kube

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// client-go's own limit would have 200 pods that start at once wait for 38 seconds.
func TestCallsAreNotThrottled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte(`{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c"}}], "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1"}}]}`), 0o600))
	config, err := Config(file)
	require.NoError(t, err)
	reviews, err := NewTokenReviews(config)
	require.NoError(t, err)
	assert.Nil(t, reviews.client.GetRateLimiter())

	config.QPS = 0 // client-go chooses
	reviews, err = NewTokenReviews(config)
	require.NoError(t, err)
	assert.NotNil(t, reviews.client.GetRateLimiter())
}
