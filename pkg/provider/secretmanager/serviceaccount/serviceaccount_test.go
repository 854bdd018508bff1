package serviceaccount_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/pkg/provider/secretmanager/serviceaccount"
)

func TestAnnotations(t *testing.T) {
	for _, row := range []struct {
		name   string
		status int
		body   string
		want   map[string]string
		fails  bool
	}{
		{"annotated", 200, `{"kind":"ServiceAccount","apiVersion":"v1","metadata":{"name":"a","annotations":{"k":"v"}}}`, map[string]string{"k": "v"}, false},
		{"not annotated", 200, `{"kind":"ServiceAccount","apiVersion":"v1","metadata":{"name":"a"}}`, nil, false},
		{"deleted", 404, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`, nil, false},
		{"forbidden", 403, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`, nil, true},
		{"broken", 500, `oh`, nil, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/api/v1/namespaces/ns/serviceaccounts/a", r.URL.Path)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte(row.body))
			}))
			defer server.Close()
			client, err := corev1.NewForConfig(&rest.Config{Host: server.URL})
			require.NoError(t, err)

			annotations, err := serviceaccount.Annotations(client)(t.Context(), "ns", "a")

			assert.Equal(t, row.fails, err != nil)
			assert.Equal(t, row.want, annotations)
		})
	}
}
