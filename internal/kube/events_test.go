package kube_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func events(t *testing.T, config *rest.Config) (*kube.Events, *testwait.Output) {
	log := new(testwait.Output)
	made, err := kube.NewEvents(config, "node-1", slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, made.Close()) })
	return made, log
}

const patience = testwait.Limit

func TestAnEventMayBeAboutANamespace(t *testing.T) {
	server, config := start(t)
	made, _ := events(t, config)
	made.WarnNamespace("team-a", "FileNotInForce", "why")
	require.Eventually(t, func() bool { return len(server.Events()) == 1 }, patience, time.Millisecond)
	event := server.Events()[0]
	assert.Equal(t, "team-a", event.Namespace)
	assert.Equal(t, "team-a", event.InvolvedObject.Namespace)
	assert.Equal(t, "team-a", event.InvolvedObject.Name)
	assert.Equal(t, "Namespace", event.InvolvedObject.Kind)
}

func TestEventsAreCountedUp(t *testing.T) {
	server, config := start(t)
	made, log := events(t, config)
	for range 3 {
		made.Warn("team-a", "task", "1-2-3", "EntryMissing", strings.Repeat("é", 1000))
	}
	require.Eventually(t, func() bool {
		sent := server.Events()
		return len(sent) == 1 && sent[0].Count == 3
	}, patience, time.Millisecond)
	event := server.Events()[0]
	assert.Equal(t, "team-a", event.Namespace)
	assert.Equal(t, "task", event.InvolvedObject.Name)
	assert.Equal(t, "1-2-3", string(event.InvolvedObject.UID))
	assert.Equal(t, "Pod", event.InvolvedObject.Kind)
	assert.Equal(t, "Warning", event.Type)
	assert.Equal(t, "EntryMissing", event.Reason)
	assert.Equal(t, "leoflow-secrets-csi", event.Source.Component)
	assert.Equal(t, "node-1", event.Source.Host)
	assert.LessOrEqual(t, len(event.Message), 1024)
	assert.True(t, strings.HasSuffix(event.Message, "é…"))
	assert.Empty(t, log.String())
}

// However many pods there are in trouble, a node sends no more than a burst.
func TestEventsAreBoundedPerNode(t *testing.T) {
	server, config := start(t)
	made, _ := events(t, config)
	for i := range 1000 {
		made.Warn("team-a", "task", "1-2-3", "EntryMissing", strings.Repeat("x", i))
	}
	require.NoError(t, made.Close())
	assert.LessOrEqual(t, server.Calls(), 120)
}

func TestAnAPIServerThatIsAwayHoldsNobodyUp(t *testing.T) {
	server, config := start(t)
	block, began := make(chan struct{}), make(chan struct{}, 100)
	server.Answer(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		select {
		case <-block:
		case <-r.Context().Done():
		}
	})
	defer close(block)
	made, _ := events(t, config)
	made.Warn("team-a", "task", "1-2-3", "EntryMissing", "why")
	testwait.Receive(t, began)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for range 5000 {
			made.Warn("team-a", "task", "1-2-3", "EntryDenied", "why")
		}
		assert.NoError(t, made.Close())
	}()
	select {
	case <-finished:
	case <-time.After(patience):
		t.Fatal("Warn or Close waits for the API server")
	}
}

func TestItIsLoggedOnceThatEventsAreNotWritten(t *testing.T) {
	server, config := start(t)
	server.Answer(func(w http.ResponseWriter, _ *http.Request) {
		kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
	})
	made, log := events(t, config)
	for _, reason := range []string{"EntryMissing", "EntryDenied", "EntryInvalid"} {
		made.Warn("team-a", "task", "1-2-3", reason, "why")
	}
	require.Eventually(t, func() bool { return server.Calls() == 3 }, patience, time.Millisecond)
	require.NoError(t, made.Close())
	assert.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	assert.Contains(t, log.String(), "writing events about pods: the API server does not let this program create and patch events (403)")
	assert.NotContains(t, log.String(), "n33dle")
}
