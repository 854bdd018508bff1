package kubernetes_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/kubernetes"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

func saying(status int, contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// What a proxy or a load balancer answers before the API server, or an answer of something else, says nothing of a
// Secret: a missing or a denied entry is taken from running pods.
func TestWhatIsNotTheAPIServersTakesNothing(t *testing.T) {
	const inItsPlace, noSense = "what answers is not the API server; see what does in its place", "or none that makes sense"
	const gone = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"n33dle","code":404}`
	const another = `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"connection-another","resourceVersion":"1"}}`
	for _, row := range []struct {
		answer http.HandlerFunc
		want   string
	}{
		{saying(401, "text/html", "<h1>n33dle"), inItsPlace},
		{saying(403, "text/html", "<h1>n33dle"), inItsPlace},
		{saying(404, "text/html", "<h1>n33dle"), inItsPlace},
		{saying(404, "", ""), inItsPlace},
		{saying(404, "application/json", `{"error":"n33dle"}`), inItsPlace},
		{saying(503, "text/html", "<h1>n33dle"), "status 503"},
		{saying(200, "application/json", `{}`), noSense},
		{saying(200, "application/json", gone), noSense},
		{saying(403, "application/json", gone), noSense},
		{saying(503, "application/json", gone), noSense},
		{saying(404, "application/json", strings.ReplaceAll(gone, "404", "403")), noSense},
		{saying(200, "application/json", another), noSense},
		{saying(200, "text/html", "<h1>n33dle"), noSense},
		{saying(302, "text/html", "n33dle"), noSense},
	} {
		for form, rules := range map[string]kubernetes.Rules{
			"convention": {}, "by label": rulesOf(t, "{}", "", ""), "by name": rulesOf(t, "{}", "connection-{id}", ""),
		} {
			for _, request := range []provider.Request{providertest.Names([]string{"db"}, nil), providertest.Everything()} {
				world := providertest.NewWorld()
				served, api := startBy(t, world, rules)
				api.answerAll(row.answer)
				_, err := served.Fetch(t.Context(), world.Reader, request)
				require.ErrorIs(t, err, provider.ErrUnavailable, form)
				require.ErrorContains(t, err, row.want, form)
				assert.NotContains(t, err.Error(), "n33dle")
			}
		}
	}
}

// By a template of the id alone, an id can be what no Secret is named, and is missing by itself.
func TestAnIDThatNoSecretIsNamed(t *testing.T) {
	world := providertest.NewWorld()
	served, api := startBy(t, world, rulesOf(t, "{}", "{id}", ""))
	api.label("team", "db", connectionID+"db", map[string]string{"value": "http://h"})
	for _, id := range []string{".", ".."} {
		entries, err := served.Fetch(t.Context(), world.Reader, providertest.Names([]string{id, "db"}, nil))
		require.NoError(t, err)
		assert.Equal(t, entry.Missing, entries[0].State)
		assert.Equal(t, entry.Delivered, entries[1].State)
	}
}

// A list that does not come to an end is given up.
func TestAListWithoutAnEnd(t *testing.T) {
	world := providertest.NewWorld()
	served, api := start(t, world)
	page := func(next string, of int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			text := ""
			for i := range 100 {
				text += fmt.Sprintf(`,{"metadata":{"name":"connection-%s-%d","labels":{"%s":"connection"}}}`, r.URL.Query().Get("continue"), i, kindLabel)
			}
			saying(200, "application/json", fmt.Sprintf(`{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"1","continue":"%s"},"items":[%s]}`,
				fmt.Sprintf(next, of), text[1:]))(w, r)
		}
	}
	calls := 0
	for _, around := range []int{1, 2, 3} {
		calls = 0
		api.answerAll(func(w http.ResponseWriter, r *http.Request) {
			calls++
			if calls > 50 {
				w.WriteHeader(http.StatusTeapot)
				return
			}
			page("again%d", calls%around)(w, r)
		})
		_, err := served.Fetch(t.Context(), world.Reader, providertest.Everything())
		require.ErrorIs(t, err, provider.ErrUnavailable)
		assert.Equal(t, around+1, calls)
	}

	calls = 0
	api.answerAll(func(w http.ResponseWriter, r *http.Request) {
		calls++
		page("next%d", calls)(w, r)
	})
	_, err := served.Fetch(t.Context(), world.Reader, providertest.Everything())
	require.ErrorIs(t, err, provider.ErrTooLarge)
	require.ErrorContains(t, err, "name those that are needed")
	assert.LessOrEqual(t, calls, 102)
}
