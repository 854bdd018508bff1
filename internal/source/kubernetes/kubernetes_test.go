package kubernetes_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/internal/source/kubernetes"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pemOf(certificate []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}

// withToken gives pods the token of the contract's world as their token for the API
// server.
type withToken struct{ *kubernetes.Provider }

func (w withToken) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	return w.Provider.Fetch(ctx, forAPI(pod), request)
}

func forAPI(pod provider.Identity) provider.Identity {
	pod.CloudTokens = map[string]secret.Text{"": pod.Token}
	return pod
}

func start(t *testing.T, world providertest.World) (withToken, *apiServer) {
	return startBy(t, world, kubernetes.Rules{})
}

func startBy(t *testing.T, world providertest.World, rules kubernetes.Rules) (withToken, *apiServer) {
	api := startAPI(t, world)
	made, err := kubernetes.New(kubernetes.Config{API: api.config(), Watch: true, Rules: rules})
	require.NoError(t, err)
	return withToken{made}, api
}

func TestProviderKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.Harness{
		Authenticates: true, Denies: true,
		Serve: func(t *testing.T, world providertest.World) providertest.Source {
			served, api := start(t, world)
			for _, connection := range world.Connections {
				api.put("team", "connection-"+connection.ID, "connection", "", map[string]string{"json": string(connection.JSON())})
			}
			api.put("team", "connection-"+world.Broken, "connection", "", map[string]string{"json": `{"conn_type": "http", "port": 70000}`})
			for key, value := range world.Variables {
				api.put("team", "variable-"+key, "variable", "", map[string]string{"value": value})
			}
			api.put("other", "variable-env", "variable", "", map[string]string{"value": "of another namespace"})
			return providertest.Source{
				Provider: served,
				SetVariable: func(key, value string) {
					api.put("team", "variable-"+key, "variable", "", map[string]string{"value": value})
				},
				Freeze: api.freeze, Break: api.Close,
			}
		},
	})
}

func TestConvention(t *testing.T) {
	const uri = "postgres://u:p@h/s"
	for _, row := range []struct {
		name       string
		id         string
		secretName string
		label      string
		annotation string
		data       map[string]string
		want       string // the connection as a URI, or the reason of the refusal and what it says
	}{
		{"a URI", "db", "connection-db", "connection", "", map[string]string{"uri": uri + "\n"}, uri},
		{"JSON", "db", "connection-db", "connection", "", map[string]string{"json": `{"conn_type":"postgres","host":"h","login":"u","password":"p","schema":"s"}`}, uri},
		{"fields", "db", "connection-db", "connection", "", map[string]string{"conn_type": "postgres", "host": "h", "login": "u", "password": "p", "schema": "s"}, uri},
		{"fields with port and extra", "db", "connection-db", "connection", "", map[string]string{"conn_type": "aws", "host": "h", "port": "1", "extra": `{"a":1}`}, "aws://h:1/?__extra__=%7B%22a%22%3A1%7D"},
		{"fields from files", "db", "connection-db", "connection", "", map[string]string{"conn_type": "postgres\n", "host": "h\n", "port": "1\n", "password": "p\n"}, "postgres://:p%0A@h:1"},
		{"an id with what a name cannot have", "My_DB", "connection-my-db", "connection", "My_DB", map[string]string{"uri": uri}, uri},
		{"an id with a slash", "a/../b", "connection-a-..-b", "connection", "a/../b", map[string]string{"uri": uri}, uri},
		{"another id of the same name", "my_db", "connection-my-db", "connection", "My_DB", map[string]string{"uri": uri}, "missing: is for another id"},
		{"no annotation for such an id", "my_db", "connection-my-db", "connection", "", map[string]string{"uri": uri}, "missing: is for another id"},
		{"no Secret", "db", "connection-other", "connection", "", map[string]string{"uri": uri}, "missing: there is no Secret connection-db"},
		{"no label", "db", "connection-db", "", "", map[string]string{"uri": uri}, "invalid: is missing from Secret connection-db"},
		{"a label of the other kind", "db", "connection-db", "variable", "", map[string]string{"uri": uri}, "invalid: is missing from Secret connection-db"},
		{"empty", "db", "connection-db", "connection", "", nil, "invalid: conn_type"},
		{"a misspelt key", "db", "connection-db", "connection", "", map[string]string{"conn_type": "http", "hots": "n33dle"}, `invalid: key "hots"`},
		{"two forms", "db", "connection-db", "connection", "", map[string]string{"uri": uri, "json": "{}"}, "invalid: key"},
		{"a bad URI", "db", "connection-db", "connection", "", map[string]string{"uri": "postgres://u:n33dle@h:99999"}, "invalid: port"},
		{"bytes", "db", "connection-db", "connection", "", map[string]string{"conn_type": "http", "password": "n33dle\xff"}, "invalid: not UTF-8"},
	} {
		t.Run(row.name, func(t *testing.T) {
			world := providertest.NewWorld()
			served, api := start(t, world)
			api.put("team", row.secretName, row.label, row.annotation, row.data)

			result, err := served.Fetch(t.Context(), world.Reader, providertest.Names([]string{row.id}, nil))

			require.NoError(t, err)
			require.Len(t, result, 1)
			if result[0].State == entry.Delivered {
				want, err := airflow.ParseURI(row.id, row.want)
				require.NoError(t, err)
				got, err := result[0].Connection.URI()
				require.NoError(t, err)
				wanted, err := want.URI()
				require.NoError(t, err)
				assert.Equal(t, wanted, got)
				return
			}
			reason, detail, _ := strings.Cut(row.want, ": ")
			assert.Equal(t, reason, string(result[0].State))
			assert.Contains(t, result[0].Reason(), detail)
			assert.NotContains(t, result[0].Reason(), "n33dle")
		})
	}
}

// TestEverythingComesOnce has Secrets whose annotations give ids that lead to other
// Secrets' names, and to none.
func TestEverythingComesOnce(t *testing.T) {
	world := providertest.NewWorld()
	served, api := start(t, world)
	api.put("team", "connection-db", "connection", "", map[string]string{"uri": "http://db"})
	api.put("team", "connection-old", "connection", "db", map[string]string{"uri": "http://old"})
	api.put("team", "connection-lost", "connection", "nowhere", map[string]string{"uri": "http://lost"})

	result, err := served.Fetch(t.Context(), world.Reader, provider.Request{Connections: provider.Selection{All: true}})

	require.NoError(t, err)
	require.Len(t, result, 1)
	assert.Equal(t, "db", *result[0].Connection.Host)
}

func TestVariableNeedsItsKey(t *testing.T) {
	world := providertest.NewWorld()
	served, api := start(t, world)
	api.put("team", "variable-env", "variable", "", map[string]string{"valeu": "n33dle"})
	result, err := served.Fetch(t.Context(), world.Reader, providertest.Names(nil, []string{"env"}))
	require.NoError(t, err)
	require.Len(t, result, 1)
	assert.Equal(t, entry.Invalid, result[0].State)
	assert.Contains(t, result[0].Reason(), `key "value" is missing from Secret variable-env`)
}

func TestAnswersOfTheAPIServer(t *testing.T) {
	for _, row := range []struct {
		name   string
		answer http.HandlerFunc
		kind   error
		ofCall bool
	}{
		{"401", func(w http.ResponseWriter, r *http.Request) { refuse(w, 401, r.Header.Get("Authorization")) }, provider.ErrUnauthenticated, false},
		{"403 to a list", func(w http.ResponseWriter, r *http.Request) { refuse(w, 403, r.Header.Get("Authorization")) }, provider.ErrDenied, false},
		{"429", func(w http.ResponseWriter, r *http.Request) { refuse(w, 429, r.Header.Get("Authorization")) }, provider.ErrUnavailable, true},
		{"500", func(w http.ResponseWriter, r *http.Request) { refuse(w, 500, r.Header.Get("Authorization")) }, provider.ErrUnavailable, true},
		{"garbage", func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("n33dle" + r.Header.Get("Authorization")))
		}, provider.ErrUnavailable, true},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, provider.ErrUnavailable, true},
		{"hanging up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, provider.ErrUnavailable, true},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"kind":"n33dle`))
		}, provider.ErrUnavailable, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			world := providertest.NewWorld()
			api := startAPI(t, world)
			config := api.config()
			config.Timeout = 3 * time.Second // for the one that is silent
			made, err := kubernetes.New(kubernetes.Config{API: config})
			require.NoError(t, err)
			served := withToken{made}
			api.answerAll(row.answer)
			_, err = served.Fetch(t.Context(), world.Reader, providertest.Everything())
			require.ErrorIs(t, err, row.kind)
			assert.NotContains(t, err.Error(), "n33dle")
			assert.Equal(t, row.ofCall, provider.IsOfCall(err))
			if errors.Is(err, provider.ErrUnavailable) {
				assert.Equal(t, row.ofCall, strings.Contains(err.Error(), world.Reader.Namespace), "what others are told names no namespace")
			}
		})
	}
}

// An API server that has just begun denies what its rules allow, since it has not read them yet. Files would be taken by that.
func TestAnAPIServerThatHasJustBegunDeniesNothing(t *testing.T) {
	world := providertest.NewWorld()
	api := startAPI(t, world)
	api.put("team", "variable-env", "variable", "", map[string]string{"value": "north"})
	config, now := api.config(), time.Now()
	var isDown atomic.Bool
	config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if isDown.Load() {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	made, err := kubernetes.New(kubernetes.Config{API: config, Watch: true, Now: func() time.Time { return now }})
	require.NoError(t, err)
	served, request := withToken{made}, providertest.Names(nil, []string{"env"})
	entries, err := served.Fetch(t.Context(), world.Reader, request)
	require.NoError(t, err)
	require.Equal(t, entry.Delivered, entries[0].State)

	isDown.Store(true)
	api.CloseClientConnections()
	_, err = served.Fetch(t.Context(), world.Reader, request)
	require.ErrorIs(t, err, provider.ErrUnavailable)
	isDown.Store(false)
	api.answerAll(func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "") })
	for _, request := range []provider.Request{request, providertest.Everything()} {
		_, err = served.Fetch(t.Context(), world.Reader, request)
		require.ErrorIs(t, err, provider.ErrUnavailable)
		require.ErrorContains(t, err, "the API server was away, and may not have read the rules of RBAC yet")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, served.Watch(ctx, func(provider.Change) {}), context.DeadlineExceeded, "it is tried again")

	now = now.Add(30 * time.Second)
	entries, err = served.Fetch(t.Context(), world.Reader, request)
	require.NoError(t, err)
	assert.Equal(t, entry.Denied, entries[0].State)
}

// What nobody could be answered by is everybody's to know, and names no namespace.
func TestAnAPIServerThatCannotBeReached(t *testing.T) {
	world := providertest.NewWorld()
	for name, change := range map[string]func(api *apiServer, config *rest.Config){
		"gone":       func(api *apiServer, _ *rest.Config) { api.Close() },
		"a stranger": func(_ *apiServer, config *rest.Config) { config.CAData = nil },
	} {
		api := startAPI(t, world)
		config := api.config()
		change(api, config)
		made, err := kubernetes.New(kubernetes.Config{API: config})
		require.NoError(t, err)
		_, err = withToken{made}.Fetch(t.Context(), world.Reader, providertest.Names(nil, []string{"env"}))
		require.EqualError(t, err, "reading Secrets: unavailable: the API server cannot be reached, or not trusted", name)
		assert.False(t, provider.IsOfCall(err), name)
	}
}

// counted is an Observer that counts.
type counted struct{ heard, interrupted atomic.Int64 }

func (c *counted) WatchHeard()       { c.heard.Add(1) }
func (c *counted) WatchInterrupted() { c.interrupted.Add(1) }

func TestAChangeIsOfANamespace(t *testing.T) {
	api, observer := startAPI(t, providertest.NewWorld()), new(counted)
	served, err := kubernetes.New(kubernetes.Config{API: api.config(), Watch: true, Observer: observer})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	changes, ended := make(chan provider.Change, 8), make(chan error, 1)
	go func() { ended <- served.Watch(ctx, func(change provider.Change) { changes <- change }) }()
	require.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes), "whatever was missed")

	api.put("team", "connection-db", "connection", "", map[string]string{"uri": "http://db"})
	assert.Equal(t, provider.Change{
		Entries: []entry.Name{{Kind: entry.Connection, ID: "db"}}, Namespace: "team",
	}, testwait.Receive(t, changes))
	assert.EqualValues(t, 2, observer.heard.Load())
	assert.Zero(t, observer.interrupted.Load())
	cancel()
	require.ErrorIs(t, testwait.Receive(t, ended), context.Canceled)
}

func TestAWatchThatFailsIsObserved(t *testing.T) {
	api, observer := startAPI(t, providertest.NewWorld()), new(counted)
	api.answerAll(func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "") })
	served, err := kubernetes.New(kubernetes.Config{API: api.config(), Watch: true, Observer: observer})
	require.NoError(t, err)
	require.ErrorIs(t, served.Watch(t.Context(), nil), provider.ErrWatchUnsupported)
	assert.EqualValues(t, 1, observer.interrupted.Load())
	assert.Zero(t, observer.heard.Load())
}

func TestWatchIsOffWhereItMayNot(t *testing.T) {
	world := providertest.NewWorld()
	served, api := start(t, world)
	api.answerAll(func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "") })
	err := served.Watch(t.Context(), nil)
	require.ErrorIs(t, err, provider.ErrWatchUnsupported)
	require.ErrorIs(t, err, provider.ErrDenied, "so that it is tried again: somebody may grant it")
	api.answerAll(func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401, "") })
	require.ErrorIs(t, served.Watch(t.Context(), nil), provider.ErrUnauthenticated)

	off, err := kubernetes.New(kubernetes.Config{API: api.config()})
	require.NoError(t, err)
	err = off.Watch(t.Context(), nil)
	require.ErrorIs(t, err, provider.ErrWatchUnsupported)
	require.NotErrorIs(t, err, provider.ErrDenied)
}

// largeSecrets are 300 of 64 KiB, with some that cannot be had between them.
func largeSecrets(t *testing.T) (withToken, *apiServer, provider.Identity, provider.Request) {
	t.Helper()
	world := providertest.NewWorld()
	served, api := start(t, world)
	request := provider.Request{Variables: provider.Selection{Names: []string{world.Forbidden, "absent"}}}
	for i := range 300 {
		id := fmt.Sprintf("large%03d", i)
		api.put("team", "variable-"+id, "variable", "", map[string]string{"value": strings.Repeat("x", 64<<10)})
		request.Variables.Names = append(request.Variables.Names, id)
	}
	slices.Reverse(request.Variables.Names) // what cannot be had comes last
	return served, api, world.Reader, request
}

func TestWhatThereIsNoMemoryForIsNotRead(t *testing.T) {
	served, api, pod, request := largeSecrets(t)
	for _, most := range []int64{64 << 10, 512 << 10, 4 << 20} {
		request.MaxBytes = most
		_, err := served.Fetch(t.Context(), pod, request)
		require.ErrorIs(t, err, provider.ErrTooLarge)
	}
	request.MaxBytes, request.Partial = 8<<20, true
	entries, err := served.Fetch(t.Context(), pod, request)
	require.NoError(t, err)

	states := map[entry.State]int{}
	for _, e := range entries {
		states[e.State]++
		assert.Equal(t, e.State == entry.Invalid, e.TooLarge)
	}
	assert.InDelta(t, 124, states[entry.Delivered], 4, "as many as there is memory for")
	assert.Equal(t, 300-states[entry.Delivered], states[entry.Invalid])
	assert.Equal(t, 1, states[entry.Denied], "of what was not read it is known whether it can be had")
	assert.Equal(t, 1, states[entry.Missing])
	assert.LessOrEqual(t, api.sent.Load(), int64(32<<20))
}

func TestALargeSecretIsReadAloneIfItDoesNotFitBesideOthers(t *testing.T) {
	served, api, pod, request := largeSecrets(t)
	request.Variables.Names = nil
	for i := range 8 {
		id := fmt.Sprint("huge", i)
		api.put("team", "variable-"+id, "variable", "", map[string]string{"value": strings.Repeat("x", 900<<10)})
		request.Variables.Names = append(request.Variables.Names, id)
	}
	request.MaxBytes, request.Partial = 8<<20, true
	entries, err := served.Fetch(t.Context(), pod, request)
	require.NoError(t, err)
	for _, e := range entries {
		assert.Equal(t, entry.Delivered, e.State, e.ID)
	}
}

func TestListsComeInPages(t *testing.T) {
	world := providertest.NewWorld()
	served, api := start(t, world)
	for i := range 250 {
		api.put("team", fmt.Sprintf("variable-v%03d", i), "variable", "", map[string]string{"value": "x"})
	}
	entries, err := served.Fetch(t.Context(), world.Reader, provider.Request{Variables: provider.Selection{All: true}, MaxBytes: 1 << 20})
	require.NoError(t, err)
	assert.Len(t, entries, 250)
	assert.Equal(t, 3, api.lists())
}
