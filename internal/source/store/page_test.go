package store_test

import (
	"context"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// shelf is the store that CONTRIBUTING.md adds: a server that has each secret at a path of its own.
type shelf struct {
	store.Naming
	store.Text
	http          *http.Client
	url, audience string
}

func newShelf(text string, roots *x509.CertPool) (*shelf, error) {
	kwargs, err := store.ParseKwargs(text)
	if err != nil {
		return nil, err
	}
	made := &shelf{
		http: secretmanager.NewHTTPClient(roots, 0), url: kwargs.Text("url", ""), audience: kwargs.Text("audience", "shelf"),
		Naming: store.Naming{
			Connections: kwargs.Prefix("connections", "connections", false), Variables: kwargs.Prefix("variables", "variables", false),
			Join: func(prefix, id string) (name, reason string) { return prefix + "/" + id, "" },
		},
	}
	if !strings.HasPrefix(made.url, "https://") {
		kwargs.Mistake("url", "must be an https URL: secrets come from there")
	}
	kwargs.Refuse("every pod reads by its own token", "token")
	return made, kwargs.Err()
}

func (*shelf) Annotations() []string { return nil }
func (*shelf) Batch() int            { return 1 }
func (s *shelf) Close() error        { s.http.CloseIdleConnections(); return nil }

func (s *shelf) Open(subject secretmanager.Subject) (store.Session, error) {
	token, err := subject.Token(s.audience)
	return &shelfSession{s, token}, err
}

type shelfSession struct {
	*shelf
	token secret.Text
}

func (s *shelfSession) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/"+path, nil)
	if err != nil {
		return "", secretmanager.Unusable("the id makes no URL; correct it")
	}
	request.Header.Set("Authorization", "Bearer "+s.token.Reveal())
	answer, err := secretmanager.Ask(s.http, "reading from the shelf", request)
	if err == nil && answer.Status != http.StatusOK {
		err = secretmanager.AccessFailed("reading from the shelf", answer.Status, answer.Header)
	}
	return string(answer.Body), err
}

func (s *shelfSession) Read(ctx context.Context, name string) (secret.Text, error) {
	text, err := s.get(ctx, name)
	return secret.New(text), store.Explain(err, "have the shelf's keeper allow it", "there is no "+name)
}

func (s *shelfSession) List(ctx context.Context, kind entry.Kind) ([]string, error) {
	if _, err := s.Begins(kind); err != nil {
		return nil, err
	}
	text, err := s.get(ctx, "")
	if err != nil {
		return nil, store.ListFailed("listing what the shelf holds", err, "a reader's card")
	}
	return s.IDs(kind, strings.Fields(text)), nil
}

// stock is the server: it knows tokens, and keeps secrets by path.
type stock struct {
	world  providertest.World
	mu     sync.Mutex
	kept   map[string]string
	silent bool
}

func (s *stock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/")
	text, found := s.kept[path]
	switch {
	case s.silent:
		s.mu.Unlock()
		<-r.Context().Done()
		s.mu.Lock()
	case !strings.HasSuffix(r.Header.Get("Authorization"), ".good"):
		w.WriteHeader(http.StatusUnauthorized)
	case path == "":
		for name := range s.kept {
			if !strings.HasSuffix(name, s.world.Forbidden) {
				_, _ = io.WriteString(w, name+"\n")
			}
		}
	case path == "variables/"+s.world.Forbidden:
		w.WriteHeader(http.StatusForbidden)
	case !found:
		w.WriteHeader(http.StatusNotFound)
	default:
		_, _ = io.WriteString(w, text)
	}
}

func (s *stock) set(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[path] = text
}

// known is a pod of the contract, with a token for the shelf.
func known(pod provider.Identity) provider.Identity {
	if pod.Token.Len() > 0 {
		signature := "good"
		if pod.ServiceAccount == "stranger" {
			signature = "refused"
		}
		pod.CloudTokens = map[string]secret.Text{"shelf": providertest.Token(pod.Namespace, pod.ServiceAccount, signature)}
	}
	return pod
}

func TestAStoreThatThePageAddsRefusesOptions(t *testing.T) {
	_, err := newShelf(`{"url": "http://shelf", "token": "n33dle", "prefix": "x"}`, nil)
	assert.EqualError(t, err, "url must be an https URL: secrets come from there; token cannot be used here: every pod reads by its own token; prefix is not known to this driver, remove it")
}

// TestAStoreThatThePageAddsKeepsTheContract has no more of the house than CONTRIBUTING.md names.
func TestAStoreThatThePageAddsKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.Harness{
		Authenticates: true, Denies: true,
		Serve: func(t *testing.T, world providertest.World) providertest.Source {
			kept := &stock{world: world, kept: map[string]string{"connections/" + world.Broken: `{"conn_type": "http", "port": 70000}`}}
			for _, connection := range world.Connections {
				kept.set("connections/"+connection.ID, string(connection.JSON()))
			}
			set := func(key, value string) { kept.set("variables/"+key, value) }
			for key, value := range world.Variables {
				set(key, value)
			}
			server := httptest.NewUnstartedServer(kept)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			made, err := newShelf(`{"url": "`+server.URL+`"}`, server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs)
			require.NoError(t, err)
			served := store.New("shelf", made, secretmanager.Config{})
			t.Cleanup(func() {
				assert.NoError(t, served.Close())
				server.Close()
			})
			return providertest.Source{
				Provider: served, Known: known, SetVariable: set,
				Freeze: func() { kept.mu.Lock(); kept.silent = true; kept.mu.Unlock() },
				Break:  func() { server.CloseClientConnections(); server.Close() },
			}
		},
	})
}
