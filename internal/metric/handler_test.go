package metric

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/internal/report"
)

func TestScrapesAreFewAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, release := New(), make(chan struct{})
		m.Watch(func(context.Context) (report.Node, error) {
			<-release
			return oneVolume(), nil
		})
		handler := m.Handler()
		scrape := func() int {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
			return answer.Code
		}
		for range 4 {
			go func() { assert.Equal(t, http.StatusOK, scrape()) }()
		}
		synctest.Wait()
		assert.Equal(t, http.StatusServiceUnavailable, scrape())
		close(release)
		synctest.Wait()
		assert.Equal(t, http.StatusOK, scrape())
	})
}
