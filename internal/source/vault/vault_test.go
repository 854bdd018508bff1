package vault_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/vault"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

const uri = "postgres://u:n33dle@h/s"

func TestDeniedIsToldFromMissing(t *testing.T) {
	served, bao := start(t, nil)
	bao.Put("connections/db", map[string]any{"conn_uri": uri})
	bao.Put("connections/deleted", map[string]any{"conn_uri": uri})
	bao.Do(http.MethodDelete, "secret/data/connections/deleted", nil)
	bao.Put("variables/forbidden", map[string]any{"value": "n33dle"})

	requireOutcomes(t, []string{
		`{"conn_type":"postgres","host":"h","login":"u","password":"n33dle","schema":"s"}`,
		"missing: reading the secret from Vault: there is no connections/absent in mount secret, or its version is deleted; write it",
		"missing: reading the secret from Vault: there is no connections/deleted in mount secret…",
		"missing: no secret of Vault has such a name…",
		`denied: reading the secret from Vault: no policy lets the pod's role read it; add path "secret/data/variables/forbidden" { capabilities = ["read"] }, without which…`,
	}, fetch(t, served, bao.Pod("team", "reader"), []string{"db", "absent", "deleted", "../variables/env"}, []string{"forbidden"}))
	assert.Len(t, bao.Asked("POST auth/jwt/login"), 1, "a denial is no reason to log in anew")
}

// A token of Vault may end before its time, and Vault then says what it says of a denial.
func TestATokenThatEndedIsReplacedOnce(t *testing.T) {
	served, bao := start(t, nil)
	for _, id := range []string{"a", "b"} {
		bao.Put("connections/"+id, map[string]any{"conn_uri": uri})
	}
	pod := bao.Pod("team", "reader")
	fetch(t, served, pod, []string{"a"}, nil)
	bao.Do(http.MethodPost, "sys/leases/revoke-prefix/auth/jwt/login", nil)

	requireOutcomes(t, []string{`{"conn_type":"postgres"…`}, fetch(t, served, pod, []string{"b"}, nil))
	assert.Len(t, bao.Asked("POST auth/jwt/login"), 2)
}

func TestPodsAlikeShareOneCall(t *testing.T) {
	served, bao := start(t, nil)
	bao.Put("connections/db", map[string]any{"conn_uri": uri})
	pods := make([]provider.Identity, 110)
	for i := range pods {
		pods[i] = bao.Pod("team", "reader")
	}
	request := providertest.Names([]string{"db"}, nil)
	var calls sync.WaitGroup
	for _, pod := range pods {
		calls.Go(func() {
			entries, err := served.Fetch(t.Context(), pod, request)
			if assert.NoError(t, err) {
				assert.Equal(t, entry.Delivered, entries[0].State)
			}
		})
	}
	calls.Wait()
	for _, outcome := range served.FetchGroup(t.Context(), pods, request) {
		require.NoError(t, outcome.Err)
	}
	assert.Len(t, bao.Asked("GET secret/data/connections/db"), 1)
	assert.Len(t, bao.Asked("POST auth/jwt/login"), 1)
}

// TestEachIdentityHasItsOwnToken has two service accounts of one namespace log in to roles by
// their annotations. Neither has a right of the other's.
func TestEachIdentityHasItsOwnToken(t *testing.T) {
	bao := cloudtest.StartBao(t)
	for _, name := range []string{"a", "b"} {
		bao.Policy(name, `path "secret/data/connections/`+name+`" { capabilities = ["read"] }`)
		bao.Role("role-"+name, name, nil, "team:"+name)
		bao.Put("connections/"+name, map[string]any{"conn_uri": uri})
	}
	served := serve(t, bao, bao.Kwargs("", nil), func(_ context.Context, _, account string) (map[string]string, error) {
		switch account {
		case "none":
			return map[string]string{}, nil
		case "thief":
			return map[string]string{vault.RoleAnnotation: "role-a"}, nil
		case "crooked":
			return map[string]string{vault.RoleAnnotation: "role-a\n"}, nil
		case "long":
			return map[string]string{vault.RoleAnnotation: strings.Repeat("r", 256)}, nil
		}
		return map[string]string{vault.RoleAnnotation: "role-" + account}, nil
	})
	requireOutcomes(t, []string{`{"conn_type"…`, "denied: …"}, fetch(t, served, bao.Pod("team", "a"), []string{"a", "b"}, nil))
	requireOutcomes(t, []string{"denied: …", `{"conn_type"…`}, fetch(t, served, bao.Pod("team", "b"), []string{"a", "b"}, nil))

	for account, says := range map[string]string{
		"thief":   "role role-a of the auth method at jwt does not take it",
		"none":    "annotate service account team/none with " + vault.RoleAnnotation,
		"crooked": "of service account team/crooked is no role; correct or remove it",
		"long":    "of service account team/long is no role; correct or remove it",
	} {
		_, err := served.Fetch(t.Context(), bao.Pod("team", account), providertest.Names([]string{"a"}, nil))
		require.ErrorIs(t, err, provider.ErrUnauthenticated, account)
		require.ErrorContains(t, err, says)
	}
	// A pod that is said to be another's gets nothing of what is cached for that.
	pretender := bao.Pod("team", "b")
	pretender.ServiceAccount = "a"
	_, err := served.Fetch(t.Context(), pretender, providertest.Names([]string{"a"}, nil))
	require.ErrorIs(t, err, provider.ErrUnauthenticated)
}

func TestKubernetesAuth(t *testing.T) {
	bao := cloudtest.StartBao(t)
	pod := bao.Pod("team", "reader")
	audiences := bao.ReviewBy(map[string][2]string{pod.CloudTokens[cloudtest.BaoAudience].Reveal(): {"team", "reader"}})
	bao.Policy("reads", reads)
	bao.Do(http.MethodPost, "auth/kubernetes/role/reader", map[string]any{
		"bound_service_account_names": []string{"reader"}, "bound_service_account_namespaces": []string{"team"},
		"audience": cloudtest.BaoAudience, "token_policies": []string{"reads"}, "token_type": "batch",
	})
	bao.Put("connections/db", map[string]any{"conn_uri": uri})
	served := serve(t, bao, bao.Kwargs("", map[string]any{"auth_type": "kubernetes", "kubernetes_role": "reader"}), nil)

	requireOutcomes(t, []string{`{"conn_type"…`}, fetch(t, served, pod, []string{"db"}, nil))
	assert.Equal(t, []string{cloudtest.BaoAudience}, audiences())
	_, err := served.Fetch(t.Context(), bao.Pod("team", "other"), providertest.Names([]string{"db"}, nil))
	require.ErrorIs(t, err, provider.ErrUnauthenticated)
}

func TestNamespaces(t *testing.T) {
	bao := cloudtest.StartBao(t)
	bao.Do(http.MethodPost, "sys/namespaces/team1", nil)
	config := bao.Do(http.MethodGet, "auth/jwt/config", nil)["data"].(map[string]any)
	bao.Do(http.MethodPost, "team1/sys/auth/jwt", map[string]any{"type": "jwt"})
	bao.Do(http.MethodPost, "team1/auth/jwt/config", map[string]any{"jwt_validation_pubkeys": config["jwt_validation_pubkeys"]})
	bao.Do(http.MethodPost, "team1/sys/policies/acl/reads", map[string]any{"policy": reads})
	bao.Do(http.MethodPost, "team1/auth/jwt/role/reader", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{cloudtest.BaoAudience}, "token_policies": []string{"reads"},
	})
	bao.Do(http.MethodPost, "team1/sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	bao.Do(http.MethodPost, "team1/secret/data/connections/db", map[string]any{"data": map[string]any{"conn_uri": uri}})
	served := serve(t, bao, bao.Kwargs("reader", map[string]any{"namespace": "team1/"}), nil)

	requireOutcomes(t, []string{`{"conn_type"…`}, fetch(t, served, bao.Pod("team", "reader"), []string{"db"}, nil))
}

// What is not there, or not now, is never taken for a connection that does not exist.
func TestAnOutageIsNotMissing(t *testing.T) {
	for name, row := range map[string]struct {
		harm func(bao *cloudtest.Bao)
		says string
	}{
		"sealed":    {func(bao *cloudtest.Bao) { bao.Do(http.MethodPost, "sys/seal", nil) }, "HTTP 503"},
		"unmounted": {func(bao *cloudtest.Bao) { bao.Do(http.MethodDelete, "sys/mounts/secret", nil) }, "there is nothing mounted at secret"},
		"standby": {func(bao *cloudtest.Bao) {
			bao.Break(func(*http.Request) *cloudtest.Fault {
				return &cloudtest.Fault{Status: http.StatusTemporaryRedirect, Header: map[string]string{"Location": "https://127.0.0.1:1/"}}
			})
		}, "another address"},
		"moved": {func(bao *cloudtest.Bao) {
			bao.Break(func(*http.Request) *cloudtest.Fault {
				return &cloudtest.Fault{Status: http.StatusPermanentRedirect, Header: map[string]string{"Location": "https://127.0.0.1:1/"}}
			})
		}, "another address"},
		"behind the others": {func(bao *cloudtest.Bao) {
			bao.Break(func(*http.Request) *cloudtest.Fault { return &cloudtest.Fault{Status: http.StatusPreconditionFailed} })
		}, "HTTP 412"},
		"a proxy's 404": {func(bao *cloudtest.Bao) {
			bao.Break(func(*http.Request) *cloudtest.Fault {
				return &cloudtest.Fault{Status: http.StatusNotFound, Body: "<html>n33dle"}
			})
		}, "HTTP 404, and not from the store"},
		"a proxy's 403": {func(bao *cloudtest.Bao) {
			bao.Break(func(r *http.Request) *cloudtest.Fault {
				if r.URL.Path != "/v1/secret/data/connections/other" { // as by a rule on paths
					return nil
				}
				return &cloudtest.Fault{Status: http.StatusForbidden, Body: "<html>n33dle"}
			})
		}, "HTTP 403, and not from the store"},
		"a gateway's 404": {func(bao *cloudtest.Bao) {
			bao.Break(func(*http.Request) *cloudtest.Fault {
				return &cloudtest.Fault{Status: http.StatusNotFound, Body: `{"message": "no route of n33dle"}`}
			})
		}, "HTTP 404, and not from the store"},
		"half an answer": {func(bao *cloudtest.Bao) {
			bao.Break(func(*http.Request) *cloudtest.Fault { return &cloudtest.Fault{Truncated: true} })
		}, "no answer"},
		"nobody": {func(bao *cloudtest.Bao) { bao.Stop() }, "no connection can be made"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served, bao := start(t, nil)
			bao.Put("connections/db", map[string]any{"conn_uri": uri})
			pod := bao.Pod("team", "reader")
			fetch(t, served, pod, []string{"db"}, nil)
			row.harm(bao)
			_, err := served.Fetch(t.Context(), pod, providertest.Names([]string{"other"}, nil))
			require.ErrorIs(t, err, provider.ErrUnavailable)
			require.ErrorContains(t, err, row.says)
			assert.NotContains(t, err.Error(), "n33dle")
			assert.Equal(t, name != "nobody", provider.IsOfCall(err))
		})
	}
}

func TestVersionsOfTheEngine(t *testing.T) {
	served, bao := start(t, map[string]any{"kv_engine_version": 1, "mount_point": "kv1"})
	bao.Do(http.MethodPost, "kv1/connections/db", map[string]any{"conn_uri": uri})
	bao.Do(http.MethodPost, "kv1/connections/deep/er", map[string]any{"conn_type": "http", "host": "h"})
	pod := bao.Pod("team", "reader")
	requireOutcomes(t, []string{`{"conn_type":"postgres"…`, `{"conn_type":"http","host":"h"}`, "missing: …"}, fetch(t, served, pod, []string{"db", "deep/er", "absent"}, nil))
	entries, err := served.Fetch(t.Context(), pod, providertest.Everything())
	require.NoError(t, err)
	require.Len(t, entries, 2, "and a folder for variables there is none")
	assert.Equal(t, []string{"db", "deep/er"}, []string{entries[0].ID, entries[1].ID})

	bao.Put("connections/db", map[string]any{"conn_uri": uri})
	other := serve(t, bao, bao.Kwargs("reader", map[string]any{"kv_engine_version": 1}), nil)
	bao.Policy("reads", reads+`path "secret/*" { capabilities = ["read"] }`)
	requireOutcomes(t, []string{"invalid: reading the secret from Vault: the mount secret is not of KV version 1; correct kv_engine_version in backend_kwargs"},
		fetch(t, other, pod, []string{"db"}, nil))
}

func TestPathsAreAskedInTheirOrder(t *testing.T) {
	served, bao := start(t, map[string]any{"connections_path": []string{"connections/team1/", "connections/common"}, "variables_path": nil})
	bao.Put("connections/team1/both", map[string]any{"conn_uri": "http://first"})
	bao.Put("connections/common/both", map[string]any{"conn_uri": "http://second"})
	bao.Put("connections/common/common", map[string]any{"conn_uri": "http://common"})
	pod := bao.Pod("team", "reader")
	requireOutcomes(t, []string{
		`{"conn_type":"http","host":"first","schema":""}`, `{"conn_type":"http","host":"common","schema":""}`, "missing: …",
		"missing: the driver does not ask this store: variables_path is null in its backend_kwargs",
	}, fetch(t, served, pod, []string{"both", "common", "absent"}, []string{"env"}))
}

func TestTheIDMayNameTheMount(t *testing.T) {
	served, bao := start(t, map[string]any{"mount_point": nil})
	bao.Put("connections/db", map[string]any{"conn_uri": uri})
	pod := bao.Pod("team", "reader")
	requireOutcomes(t, []string{`{"conn_type"…`, "missing: mount_point is null…"}, fetch(t, served, pod, []string{"secret/db", "db"}, nil))
	_, err := served.Fetch(t.Context(), pod, providertest.Everything())
	require.ErrorIs(t, err, provider.ErrDenied)
	require.ErrorContains(t, err, "name the entries")
}

func TestAllTakesTheRightToList(t *testing.T) {
	served, bao := start(t, nil)
	bao.Policy("reads", strings.ReplaceAll(reads, `"list"`, `"read"`))
	_, err := served.Fetch(t.Context(), bao.Pod("team", "reader"), providertest.Everything())
	require.ErrorIs(t, err, provider.ErrDenied)
	require.ErrorContains(t, err, `"*" takes the capability "list" on secret/metadata/connections/`)
}

func TestAPodWhoseTokenExpired(t *testing.T) {
	served, bao := start(t, nil)
	pod := bao.Pod("team", "reader")
	pod.CloudTokens[cloudtest.BaoAudience] = bao.Token("team", "reader", cloudtest.BaoAudience, -10*time.Minute)
	_, err := served.Fetch(t.Context(), pod, providertest.Names([]string{"db"}, nil))
	require.ErrorIs(t, err, provider.ErrUnauthenticated)
	assert.NotContains(t, err.Error(), pod.CloudTokens[cloudtest.BaoAudience].Reveal())
}

// An answer without a list takes nothing from pods, whoever gives it.
func TestAListThatLies(t *testing.T) {
	for _, body := range []string{`{}`, `{"data": null}`, `{"data": {}}`, `{"request_id": "r", "data": {"keys": null}}`} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			served, bao := start(t, nil)
			bao.Break(func(r *http.Request) *cloudtest.Fault {
				if !strings.HasPrefix(r.URL.Path, "/v1/secret/metadata/") {
					return nil
				}
				return &cloudtest.Fault{Status: http.StatusOK, Body: body}
			})
			_, err := served.Fetch(t.Context(), bao.Pod("team", "reader"), providertest.Everything())
			require.ErrorIs(t, err, provider.ErrUnavailable)
		})
	}
}
