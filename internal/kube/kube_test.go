package kube_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t testing.TB) (*kubetest.Server, *rest.Config) {
	server, err := kubetest.Start()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, server.Kubeconfig(), 0o600))
	config, err := kube.Config(file)
	require.NoError(t, err)
	t.Cleanup(func() {
		server.CloseClientConnections() // which client-go keeps, and has no way to close
		server.Close()
	})
	return server, config
}

func reviews(t testing.TB, config *rest.Config) *kube.TokenReviews {
	reviews, err := kube.NewTokenReviews(config)
	require.NoError(t, err)
	return reviews
}

var worker = kubetest.Token{
	Namespace: "team-a", ServiceAccount: "worker", Pod: "task", PodUID: "1-2-3", Node: "node-1",
	Audiences: []string{"leoflow-core"}, Expires: time.Now().Add(time.Hour),
}

func TestReview(t *testing.T) {
	server, config := start(t)
	token, err := server.Sign(worker)
	require.NoError(t, err)
	status, err := reviews(t, config).Review(t.Context(), token, "leoflow-core")
	require.NoError(t, err)
	assert.True(t, status.Authenticated)
	assert.Equal(t, []string{"leoflow-core"}, status.Audiences)
	assert.Equal(t, "system:serviceaccount:team-a:worker", status.User.Username)
	assert.Equal(t, []string{"1-2-3"}, []string(status.User.Extra["authentication.kubernetes.io/pod-uid"]))

	status, err = reviews(t, config).Review(t.Context(), token, "another")
	require.NoError(t, err)
	assert.False(t, status.Authenticated)
}

// The driver hands this to the clouds' secret managers.
var _ secretmanager.Annotations = new(kube.ServiceAccounts).Annotations

func TestAnnotations(t *testing.T) {
	server, config := start(t)
	server.Annotate("team-a", "worker", map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/r"})
	server.Annotate("team-a", "default", nil)
	accounts, err := kube.NewServiceAccounts(config)
	require.NoError(t, err)

	annotations, err := accounts.Annotations(t.Context(), "team-a", "worker")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/r"}, annotations)
	annotations, err = accounts.Annotations(t.Context(), "team-a", "default")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{}, annotations)

	_, err = accounts.Annotations(t.Context(), "team-b", "worker")
	require.ErrorIs(t, err, kube.ErrNoServiceAccount)
	assert.EqualError(t, err, "reading service account team-b/worker: there is no such service account")
	for _, text := range []string{`{}`, `{"metadata": {"name": "other"}}`, `{"metadata": {"name": "worker", "annotations": {"a": 1}}}`, `[]`, ``} {
		server.Answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
		_, err = accounts.Annotations(t.Context(), "team-a", "worker")
		assert.EqualError(t, err, "reading service account team-a/worker: what the API server answers makes no sense", text)
	}
	server.Answer(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"metadata": {"name": "worker", "annotations": {"a": "` + strings.Repeat("x", 5<<20) + `"}}}`))
	})
	_, err = accounts.Annotations(t.Context(), "team-a", "worker")
	require.EqualError(t, err, "reading service account team-a/worker: what the API server answers makes no sense", "it goes on for too long")
	for _, status := range []int{401, 403, 404} {
		server.Answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"kind": "n33dle"}`, status) })
		_, err = accounts.Annotations(t.Context(), "team-b", "worker")
		require.NotErrorIs(t, err, kube.ErrNoServiceAccount, "which only the API server can tell")
		assert.EqualError(t, err, "reading service account team-b/worker: what answers is not the API server; see what does in its place, such as a proxy, and have that let this program through")
	}
	for _, status := range []int{200, 403, 503} { // and a Status is of its answer
		server.Answer(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			kubetest.Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		})
		_, err = accounts.Annotations(t.Context(), "team-b", "worker")
		require.Error(t, err)
		require.NotErrorIs(t, err, kube.ErrNoServiceAccount, status)
	}
	server.Answer(func(w http.ResponseWriter, _ *http.Request) {
		kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
	})
	_, err = accounts.Annotations(t.Context(), "team-a", "worker")
	assert.EqualError(t, err, "reading service account team-a/worker: the API server does not let this program get serviceaccounts: grant that to its own (403)")
}

// Every way of a server to fail is told apart, and nothing that it says is repeated.
func TestFaults(t *testing.T) {
	refusing := func(code int, reason metav1.StatusReason) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { kubetest.Refuse(w, code, reason) }
	}
	saying := func(code int, kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(code)
			_, _ = w.Write([]byte(text))
		}
	}
	for name, row := range map[string]struct {
		answer  http.HandlerFunc
		message string
	}{
		"401": {refusing(401, metav1.StatusReasonUnauthorized), "the API server refuses this program's own credentials (401)"},
		"403": {refusing(403, metav1.StatusReasonForbidden),
			"the API server does not let this program create tokenreviews: bind its service account to the ClusterRole system:auth-delegator (403)"},
		"404":            {saying(404, "text/plain", "n33dle"), "what answers is not the API server; see what does in its place, such as a proxy, and have that let this program through"},
		"429":            {refusing(429, metav1.StatusReasonTooManyRequests), "the API server asks for fewer calls (429)"},
		"500":            {refusing(500, metav1.StatusReasonInternalError), "the API server answers with status 500"},
		"503 of a proxy": {saying(503, "text/html", "<html>n33dle"), "the API server answers with status 503"},
		"garbage":        {saying(201, "application/json", `{"n33dle`), "what the API server answers makes no sense"},
		"a web page":     {saying(200, "text/html", "<html>n33dle"), "what the API server answers makes no sense"},
		"another kind": {saying(201, "application/json", `{"kind":"n33dle","apiVersion":"n33dle/v1"}`),
			"what the API server answers makes no sense"},
	} {
		server, config := start(t)
		server.Answer(row.answer)
		_, err := reviews(t, config).Review(t.Context(), secret.New("n33dle"), "leoflow-core")
		assert.EqualError(t, err, row.message, name)
	}
}

func TestAServerThatHangsUp(t *testing.T) {
	server, config := start(t)
	server.Answer(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := reviews(t, config).Review(t.Context(), secret.New("n33dle"), "leoflow-core")
	assert.ErrorContains(t, err, "the API server ")
	assert.NotContains(t, err.Error(), "n33dle")
}

func TestAServerThatIsAway(t *testing.T) {
	server, config := start(t)
	server.Close()
	_, err := reviews(t, config).Review(t.Context(), secret.New("n33dle"), "leoflow-core")
	assert.ErrorContains(t, err, "the API server cannot be reached: dial tcp 127.0.0.1:")
}

func TestAStrangerForAServer(t *testing.T) {
	_, config := start(t)
	stranger, _ := start(t)
	config.Host = stranger.URL
	config.CAData = []byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
	_, err := kube.NewTokenReviews(config)
	assert.ErrorContains(t, err, "configuring the client of Kubernetes: ")
	config.CAData = nil
	_, err = reviews(t, config).Review(t.Context(), secret.New("n33dle"), "leoflow-core")
	assert.ErrorContains(t, err, "the API server cannot be trusted: ")
}

func TestASlowServer(t *testing.T) {
	server, config := start(t)
	server.Answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := reviews(t, config).Review(ctx, secret.New("n33dle"), "leoflow-core")
	assert.EqualError(t, err, "the API server does not answer in time")

	ctx, cancel = context.WithCancel(t.Context())
	server.Answer(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	_, err = reviews(t, config).Review(ctx, secret.New("n33dle"), "leoflow-core")
	assert.ErrorIs(t, err, context.Canceled)
}

func TestConfigRefuses(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := kube.Config("")
	assert.ErrorContains(t, err, "finding Kubernetes: no kubeconfig file is named, and this is no pod: ")
	_, err = kube.Config("/absent")
	assert.ErrorContains(t, err, "reading kubeconfig file: ")
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte("users: [n33dle"), 0o600))
	_, err = kube.Config(file)
	assert.ErrorContains(t, err, "reading kubeconfig file: ")
}

// client-go logs by itself; whatever it is asked to log, this project asks for none of
// what holds a token.
func TestClientGoLogsNothing(t *testing.T) {
	var log bytes.Buffer
	klog.LogToStderr(false)
	klog.SetOutput(&log)
	t.Cleanup(func() { klog.SetOutput(os.Stderr); klog.LogToStderr(true) })
	server, config := start(t)
	for _, answer := range []http.HandlerFunc{nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Warning", `299 - "n33dle"`)
		w.WriteHeader(http.StatusInternalServerError)
	}} {
		server.Answer(answer)
		_, _ = reviews(t, config).Review(t.Context(), secret.New("n33dle"), "leoflow-core")
	}
	klog.Flush()
	assert.Empty(t, log.String())
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	assert.Equal(t, "0", flags.Lookup("v").Value.String())
	assert.False(t, strings.Contains(fmt.Sprintf("%v", config), "n33dle"))
}
