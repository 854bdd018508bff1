package kubernetes_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

const (
	kindLabel    = "secrets.csi.leoflow.io/kind"
	idAnnotation = "secrets.csi.leoflow.io/id"
	driverToken  = "n33dle-token-of-the-driver"
)

type watcher struct {
	selector labels.Selector
	changes  chan metav1.PartialObjectMetadata
}

// apiServer is as much of the Kubernetes API as reads Secrets.
type apiServer struct {
	*httptest.Server

	mu       sync.Mutex
	secrets  map[string]corev1.Secret // by namespace and name
	version  int
	watchers []watcher
	// tokens may do what allow says; others are 401.
	tokens []string
	// forbidden are names of Secrets that nobody may get.
	forbidden []string
	frozen    chan struct{}
	// answer, where set, answers everything.
	answer http.HandlerFunc
	// sent counts the bytes of all answers to GETs of Secrets.
	sent   atomic.Int64
	listed int
	// unlisted has nobody list what one id's label selects.
	unlisted bool
}

func startAPI(t *testing.T, world providertest.World) *apiServer {
	s := &apiServer{
		secrets: map[string]corev1.Secret{}, forbidden: []string{"variable-" + world.Forbidden},
		tokens: []string{world.Reader.Token.Reveal(), world.Twin.Token.Reveal(), driverToken},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/secrets/{name}", s.get)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/secrets", s.list)
	mux.HandleFunc("GET /api/v1/secrets", s.watch)
	s.Server = httptest.NewUnstartedServer(s.admit(mux))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *apiServer) config() *rest.Config {
	return &rest.Config{
		Host: s.URL, BearerToken: driverToken, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(s.Certificate().Raw)},
	}
}

func (s *apiServer) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		frozen, answer := s.frozen, s.answer
		s.mu.Unlock()
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case frozen != nil:
			<-r.Context().Done()
		case answer != nil:
			answer(w, r)
		case !slices.Contains(s.tokens, token):
			refuse(w, http.StatusUnauthorized, token)
		case token == driverToken && r.URL.Path != "/api/v1/secrets":
			refuse(w, http.StatusForbidden, "the driver may watch and nothing else")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// refuse repeats what it was sent, as a careless server might.
func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(status), Message: "n33dle " + message,
	})
}

func (s *apiServer) get(w http.ResponseWriter, r *http.Request) {
	w = measured{w, &s.sent}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, exists := s.secrets[r.PathValue("namespace")+"/"+r.PathValue("name")]
	switch {
	case slices.Contains(s.forbidden, r.PathValue("name")):
		refuse(w, http.StatusForbidden, "")
	case !exists:
		refuse(w, http.StatusNotFound, "")
	case strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata"):
		write(w, metadataOf(found))
	default:
		write(w, found)
	}
}

func write(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object)
}

// measured counts the bytes of answers that were sent.
type measured struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c measured) Write(text []byte) (int, error) {
	n, err := c.ResponseWriter.Write(text)
	c.sent.Add(int64(n))
	return n, err
}

// list gives metadata alone, but for what one id's label selects.
func (s *apiServer) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	whole := !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")
	switch ofOne := strings.Contains(selector.String(), "="); {
	case err != nil:
		refuse(w, http.StatusBadRequest, "")
		return
	case whole && !ofOne, s.unlisted && ofOne:
		refuse(w, http.StatusForbidden, "")
		return
	}
	var found []corev1.Secret
	for _, name := range slices.Sorted(maps.Keys(s.secrets)) {
		if one := s.secrets[name]; one.Namespace == r.PathValue("namespace") && selector.Matches(labels.Set(one.Labels)) {
			found = append(found, one)
		}
	}
	s.listed++
	list := s.emptyList()
	first, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if last := first + limit; err == nil && last < len(found) {
		found, list.Continue = found[:last], strconv.Itoa(last)
	}
	if whole {
		write(w, corev1.SecretList{TypeMeta: metav1.TypeMeta{Kind: "SecretList", APIVersion: "v1"}, ListMeta: list.ListMeta, Items: found[first:]})
		return
	}
	for _, one := range found[first:] {
		list.Items = append(list.Items, metadataOf(one))
	}
	write(w, list)
}

// lists is how often a list was asked for.
func (s *apiServer) lists() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listed
}

func (s *apiServer) emptyList() metav1.PartialObjectMetadataList {
	return metav1.PartialObjectMetadataList{
		TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadataList", APIVersion: "meta.k8s.io/v1"},
		ListMeta: metav1.ListMeta{ResourceVersion: fmt.Sprint(s.version)},
	}
}

func metadataOf(found corev1.Secret) metav1.PartialObjectMetadata {
	return metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/v1"}, ObjectMeta: found.ObjectMeta,
	}
}

func (s *apiServer) watch(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") != "true" {
		s.mu.Lock()
		defer s.mu.Unlock()
		write(w, s.emptyList())
		return
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "")
		return
	}
	changes := make(chan metav1.PartialObjectMetadata, 64)
	s.mu.Lock()
	s.watchers = append(s.watchers, watcher{selector, changes})
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	_ = flush()
	for {
		select {
		case changed := <-changes:
			_ = json.NewEncoder(w).Encode(map[string]any{"type": "MODIFIED", "object": changed})
			_ = flush()
		case <-r.Context().Done():
			return
		}
	}
}

// put creates or replaces a Secret of the convention and tells the watchers.
func (s *apiServer) put(namespace, name, kind, id string, data map[string]string) {
	made := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{}, Annotations: map[string]string{}}}
	if kind != "" {
		made.Labels[kindLabel] = kind
	}
	if id != "" {
		made.Annotations[idAnnotation] = id
	}
	s.store(made, data)
}

// label creates or replaces a Secret with labels, written as KEY=VALUE and separated by blanks.
func (s *apiServer) label(namespace, name, labelled string, data map[string]string) {
	made := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{}}}
	for label := range strings.FieldsSeq(labelled) {
		key, value, _ := strings.Cut(label, "=")
		made.Labels[key] = value
	}
	s.store(made, data)
}

func (s *apiServer) store(made corev1.Secret, data map[string]string) {
	made.TypeMeta, made.Data = metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"}, map[string][]byte{}
	for key, value := range data {
		made.Data[key] = []byte(value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	made.ResourceVersion = fmt.Sprint(s.version)
	s.secrets[made.Namespace+"/"+made.Name] = made
	for _, watcher := range s.watchers {
		if watcher.selector.Matches(labels.Set(made.Labels)) {
			select {
			case watcher.changes <- metadataOf(made):
			default:
			}
		}
	}
}

func (s *apiServer) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen = make(chan struct{})
}

func (s *apiServer) answerAll(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}
