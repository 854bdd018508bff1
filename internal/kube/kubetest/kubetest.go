// Package kubetest stands in for the Kubernetes API server in tests, as far as package
// kube speaks to it: over TLS, with credentials to show, in the server's own words.
package kubetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// credentials are what a caller has to show.
const credentials = "n33dle-credentials"

// Server is an API server. It is safe for concurrent use.
type Server struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu       sync.Mutex
	calls    []time.Time // when each began
	keyCalls int
	hidden   bool
	override http.HandlerFunc
	treated  map[string]Treatment // by namespace
	sent     map[string]int64     // bytes, by namespace
	accounts map[string]map[string]string
	events   map[string]corev1.Event  // by namespace and name
	secrets  map[string]corev1.Secret // by namespace, service account that may get it, and name
	listers  map[string]bool          // by namespace and service account
	objects  map[string]object        // by resource, namespace and name
}

// Start serves until Close.
func Start() (*Server, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of service accounts: %w", err)
	}
	s := &Server{key: key, treated: map[string]Treatment{}, sent: map[string]int64{}, accounts: map[string]map[string]string{}, events: map[string]corev1.Event{}, secrets: map[string]corev1.Secret{}, listers: map[string]bool{}, objects: map[string]object{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", s.review)
	mux.HandleFunc("GET /openid/v1/jwks", s.keys)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/serviceaccounts/{name}", s.serviceAccount)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/secrets/{name}", s.secret)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/secrets", s.secretList)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/configmaps/{name}", func(w http.ResponseWriter, r *http.Request) { s.getObject(w, r, "configmaps") })
	mux.HandleFunc("PATCH /api/v1/namespaces/{namespace}/configmaps/{name}", s.patchObject("configmaps"))
	mux.HandleFunc("PATCH /api/v1/namespaces/{namespace}/secrets/{name}", s.patchObject("secrets"))
	mux.HandleFunc("POST /api/v1/namespaces/{namespace}/events", s.createEvent)
	mux.HandleFunc("PATCH /api/v1/namespaces/{namespace}/events/{name}", s.patchEvent)
	s.Server = httptest.NewUnstartedServer(s.admit(mux))
	s.EnableHTTP2 = true
	s.StartTLS()
	return s, nil
}

// Kubeconfig is a file by which to reach the server, with the credentials that it wants.
func (s *Server) Kubeconfig() []byte {
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	content, _ := json.Marshal(map[string]any{ // of strings and byte slices: cannot fail
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []any{map[string]any{"name": "test", "cluster": map[string]any{
			"server": s.URL, "certificate-authority-data": authority,
		}}},
		"users":    []any{map[string]any{"name": "test", "user": map[string]any{"token": credentials}}},
		"contexts": []any{map[string]any{"name": "test", "context": map[string]any{"cluster": "test", "user": "test"}}},
	})
	return content
}

// Answer makes handler answer everything from now on; nil ends that.
func (s *Server) Answer(handler http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.override = handler
}

// Annotate makes a service account with annotations.
func (s *Server) Annotate(namespace, name string, annotations map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[namespace+"/"+name] = annotations
}

// Calls is how many there were.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// Busiest is how many calls began within a second at most, since the time given.
func (s *Server) Busiest(since time.Time) (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := 0
	for i, at := range s.calls {
		for at.Sub(s.calls[first]) >= time.Second {
			first++
		}
		if s.calls[first].After(since) {
			most = max(most, i-first+1)
		}
	}
	return most
}

// Treatment is how the server treats calls about one namespace; it reports whether the call was
// answered. Otherwise it is, as usual.
type Treatment func(w http.ResponseWriter, r *http.Request) (answered bool)

// Treat treats calls about the namespace from now on; nil ends that.
func (s *Server) Treat(namespace string, how Treatment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.treated[namespace] = how
}

func (s *Server) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if r.URL.Path == "/openid/v1/jwks" {
			s.keyCalls++
		} else {
			s.calls = append(s.calls, time.Now())
		}
		override, treat := s.override, s.treated[namespaceOf(r.URL.Path)]
		s.mu.Unlock()
		w = counted{w, s, namespaceOf(r.URL.Path)}
		switch {
		case treat != nil && treat(w, r):
		case override != nil:
			override(w, r)
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path+"/", "/secrets/"): // which the pods get by themselves
			next.ServeHTTP(w, r)
		case r.Header.Get("Authorization") != "Bearer "+credentials:
			Refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// Sent is how many bytes were answered about the namespace.
func (s *Server) Sent(namespace string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[namespace]
}

// counted counts what is answered about a namespace.
type counted struct {
	http.ResponseWriter
	server    *Server
	namespace string
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.sent[c.namespace] += int64(n)
	return n, err
}

func namespaceOf(path string) string {
	_, rest, _ := strings.Cut(path, "/namespaces/")
	namespace, _, _ := strings.Cut(rest, "/")
	return namespace
}

// Refuse answers as the API server does where it does not do what it was asked.
func Refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	respond(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Message: "n33dle", Reason: reason, Code: int32(code),
	})
}

func respond(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
}

func (s *Server) review(w http.ResponseWriter, r *http.Request) {
	var review authenticationv1.TokenReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Kind != "TokenReview" {
		Refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}
	review.Status = s.status(review.Spec, time.Now())
	respond(w, http.StatusCreated, review)
}

func (s *Server) serviceAccount(w http.ResponseWriter, r *http.Request) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	s.mu.Lock()
	annotations, found := s.accounts[namespace+"/"+name]
	s.mu.Unlock()
	if !found {
		Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	}
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: annotations}
	if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
		respond(w, http.StatusOK, metav1.PartialObjectMetadata{
			TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}, ObjectMeta: meta,
		})
		return
	}
	respond(w, http.StatusOK, corev1.ServiceAccount{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: meta,
	})
}
