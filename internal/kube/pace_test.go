package kube

import (
	"bytes"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
)

// TestCallsTakeTurnsByNamespace has one namespace read 100 service accounts at once, and another
// one of its own meanwhile.
func TestCallsTakeTurnsByNamespace(t *testing.T) {
	server, err := kubetest.Start()
	require.NoError(t, err)
	t.Cleanup(server.Close)
	server.Annotate("evil", "etl", nil)
	server.Annotate("bank", "etl", nil)
	config, err := clientcmd.RESTConfigFromKubeConfig(server.Kubeconfig())
	require.NoError(t, err)
	config.QPS = -1
	accounts, err := NewServiceAccounts(NewPace().Of(config))
	require.NoError(t, err)
	var log bytes.Buffer
	klog.LogToStderr(false)
	klog.SetOutput(&log)
	t.Cleanup(func() { klog.SetOutput(os.Stderr); klog.LogToStderr(true) })

	began := time.Now()
	var evil sync.WaitGroup
	for range 100 {
		evil.Go(func() {
			_, err := accounts.Annotations(t.Context(), "evil", "etl")
			assert.NoError(t, err)
		})
	}
	_, err = accounts.Annotations(t.Context(), "bank", "etl")
	require.NoError(t, err)
	assert.Less(t, time.Since(began), 2*time.Second, "it waits for none of them")
	evil.Wait()
	assert.GreaterOrEqual(t, time.Since(began), 3*time.Second, "100 calls, eight in a quarter of a second")
	assert.Equal(t, 101, server.Calls())
	klog.Flush()
	assert.Empty(t, log.String(), "client-go says nothing of those that waited")
}
