package kube_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestObserveTellsWhatCameOfACall(t *testing.T) {
	server, config := start(t)
	var told []string
	kube.Observe(config, func(outcome string) { told = append(told, outcome) })
	asks := reviews(t, config)
	for _, row := range []struct {
		code    int
		outcome string
	}{{0, "ok"}, {403, "refused"}, {404, "refused"}, {429, "throttled"}, {500, "failed"}, {503, "failed"}} {
		told = nil
		server.Answer(nil)
		if row.code != 0 {
			server.Answer(func(w http.ResponseWriter, _ *http.Request) { kubetest.Refuse(w, row.code, metav1.StatusReasonUnknown) })
		}
		_, _ = asks.Review(t.Context(), secret.New("any"), "leoflow-core")
		assert.Equal(t, []string{row.outcome}, told, row.code)
	}
	told = nil
	server.Close()
	_, _ = asks.Review(t.Context(), secret.New("any"), "leoflow-core")
	assert.Contains(t, told, "failed")
}
