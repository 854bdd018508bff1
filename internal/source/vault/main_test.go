package vault_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/internal/source/vault"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reads lets a role read all but one variable, and list.
const reads = `
path "secret/data/connections/*" { capabilities = ["read"] }
path "secret/data/variables/*" { capabilities = ["read"] }
path "secret/data/variables/forbidden" { capabilities = ["deny"] }
path "secret/metadata/*" { capabilities = ["list"] }
path "kv1/*" { capabilities = ["read", "list"] }
path "gone/*" { capabilities = ["read"] }
`

// start serves an OpenBao by backend_kwargs. Service account team/reader may log in to the role reader.
func start(t *testing.T, kwargs map[string]any) (*store.Provider, *cloudtest.Bao) {
	t.Helper()
	bao := cloudtest.StartBao(t)
	bao.Policy("reads", reads)
	bao.Role("reader", "reads", nil, "team:reader")
	return serve(t, bao, bao.Kwargs("reader", kwargs), nil), bao
}

func serve(t *testing.T, bao *cloudtest.Bao, kwargs string, annotations secretmanager.Annotations) *store.Provider {
	t.Helper()
	made, err := vault.New(vault.Config{Kwargs: kwargs, HTTP: bao.Client()})
	require.NoError(t, err)
	served := store.New("vault", made, secretmanager.Config{Annotations: annotations, CallTimeout: 2 * cloudtest.RequestTimeout})
	t.Cleanup(func() { assert.NoError(t, served.Close()) })
	return served
}

// signed gives the pods of the contract's world tokens that are signed.
type signed struct {
	bao   *cloudtest.Bao
	mu    sync.Mutex
	known map[string]secret.Text
}

func (s *signed) pod(pod provider.Identity) provider.Identity {
	if pod.Token.Len() == 0 {
		return pod
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[pod.PodUID].Len() == 0 {
		s.known[pod.PodUID] = s.bao.Pod(pod.Namespace, pod.ServiceAccount).CloudTokens[cloudtest.BaoAudience]
	}
	pod.CloudTokens = map[string]secret.Text{cloudtest.BaoAudience: s.known[pod.PodUID]}
	return pod
}

func TestProviderKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.Harness{
		Authenticates: true, Denies: true,
		Serve: func(t *testing.T, world providertest.World) providertest.Source {
			served, bao := start(t, nil)
			for _, connection := range world.Connections {
				bao.Put("connections/"+connection.ID, asMap(t, connection))
			}
			bao.Put("connections/"+world.Broken, map[string]any{"conn_type": "http", "port": 70000})
			put := func(key, value string) { bao.Put("variables/"+key, map[string]any{"value": value}) }
			for key, value := range world.Variables {
				put(key, value)
			}
			silent := func(*http.Request) *cloudtest.Fault { return &cloudtest.Fault{Silent: true} }
			return providertest.Source{
				Provider:    served,
				Known:       (&signed{bao: bao, known: map[string]secret.Text{}}).pod,
				SetVariable: put,
				Freeze:      func() { bao.Break(silent) }, Break: bao.Stop,
			}
		},
	})
}

// asMap has the extra as text: Vault sorts the keys of objects.
func asMap(t *testing.T, connection airflow.Connection) (object map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(connection.JSON(), &object))
	object["extra"] = connection.Extra.Reveal()
	return object
}

// outcome is an entry in short: its value, or its state and why.
func outcome(made entry.Entry) string {
	switch {
	case made.State != entry.Delivered:
		return string(made.State) + ": " + made.Notices[0].Message
	case made.Kind == entry.Variable:
		return made.Text.Reveal()
	}
	return string(made.Connection.JSON())
}

func fetch(t *testing.T, served *store.Provider, pod provider.Identity, connections, variables []string) []string {
	t.Helper()
	entries, err := served.Fetch(t.Context(), pod, providertest.Names(connections, variables))
	require.NoError(t, err)
	var found []string
	for _, one := range entries {
		found = append(found, outcome(one))
	}
	return found
}

func requireOutcomes(t *testing.T, want, got []string) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		if begin, cut := strings.CutSuffix(want[i], "…"); cut {
			assert.True(t, strings.HasPrefix(got[i], begin), "%s\nis not\n%s", got[i], begin)
		} else {
			assert.Equal(t, want[i], got[i])
		}
	}
}
