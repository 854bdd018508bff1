package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/test/stack"
)

// A core that takes pods' tokens from the drivers of their nodes alone serves a pod without a driver by its own token and
// a rule that says so, follows it through a renewal and a revocation, and refuses every other token.
func TestAPodWithoutADriverIsKnownByItsToken(t *testing.T) {
	api, err := kubetest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { api.CloseClientConnections(); api.Close() })
	good := kubetest.Token{
		Namespace: "airflow", ServiceAccount: "etl", Pod: "task", PodUID: "uid-task", Node: "somewhere", ID: "first",
		Audiences: []string{auth.PodAudience}, Expires: time.Now().Add(time.Hour),
	}
	sign := func(change func(*kubetest.Token)) string {
		token := good
		change(&token)
		signed, err := api.Sign(token)
		require.NoError(t, err)
		return signed.Reveal()
	}
	const rules = "rules: [{namespaces: [airflow], serviceAccounts: [etl], connections: [warehouse], direct: true}, {namespaces: [airflow], serviceAccounts: ['*'], connections: ['*']}]\n"
	s := scenario{T: t, identity: &identity{}, Stack: start(t, stack.Options{
		Connections: warehouseAndPayroll, Variables: "{}", Rules: rules, WithoutDriver: true,
		CoreArgs: []string{"--auth=tokenreview", "--node-binding=required", "--node-service-accounts=leoflow/driver", "--token-review-ttl=0", "--kubeconfig=" + file(t, "kubeconfig", api.Kubeconfig())},
	})}
	file := filepath.Join(t.TempDir(), "token")
	with := func(token string) *intoDirectory {
		require.NoError(t, os.WriteFile(file+".next", []byte(token), 0o600))
		require.NoError(t, os.Rename(file+".next", file))
		d := newIntoDirectory(s)
		d.args = []string{"--into=" + d.path, "--watch", "--token-file=" + file, "--connections=warehouse", "--core-address=" + s.Address(), "--core-server-name=core", "--core-ca=" + s.PKI.CA()}
		return d
	}
	for name, row := range map[string]struct{ token, says string }{
		"none":                      {"", "--token-file: " + file + " is empty"},
		"expired":                   {sign(func(token *kubetest.Token) { token.Expires = time.Now().Add(-time.Minute) }), "expired at"},
		"another audience":          {sign(func(token *kubetest.Token) { token.Audiences = []string{"vault"} }), `no token is for audience "leoflow-core"`},
		"of no pod":                 {sign(func(token *kubetest.Token) { token.Pod, token.PodUID, token.Node = "", "", "" }), "it is bound to no pod"},
		"without a rule for it":     {sign(func(token *kubetest.Token) { token.ServiceAccount = "other" }), "no rule lets this caller read it without a driver between; one that may has direct: true"},
		"signed by another cluster": {otherClusters(t, good), `the driver's own token refused: no key that its cluster publishes has signed it`},
	} {
		t.Run(name, func(t *testing.T) {
			d := with(row.token)
			d.s.T = t
			err := d.run()
			require.ErrorContains(t, err, "exit status 3")
			require.ErrorContains(t, err, row.says)
		})
	}

	d := with(sign(func(*kubetest.Token) {}))
	s.deliverer = d
	require.NoError(t, d.run())
	assert.Equal(t, "mysql://u:needle-first@h/s", s.value("warehouse"))
	renewed := sign(func(token *kubetest.Token) { token.ID = "second" })
	require.NoError(t, os.WriteFile(file+".next", []byte(renewed), 0o600))
	require.NoError(t, os.Rename(file+".next", file))
	require.NoError(t, s.ReplaceInConnections("first", "second"))
	s.within(soon, "a rotation", func() bool { return s.value("warehouse") == "mysql://u:needle-second@h/s" })
	s.rules("rules: []\n")
	s.within(soon, "a revocation", func() bool { return s.value("warehouse") == "" })
	assert.Contains(t, s.Core.Output(), `"pod":"task","pod_uid":"uid-task","node":"somewhere"`)
	assert.Contains(t, s.Core.Output(), `"direct":true`)
	for _, secret := range []string{"needle", renewed} {
		assert.NotContains(t, d.output()+s.Core.Output(), secret)
	}
}

// otherClusters is a token that another API server has signed.
func otherClusters(t *testing.T, like kubetest.Token) string {
	t.Helper()
	other, err := kubetest.Start()
	require.NoError(t, err)
	defer other.Close()
	signed, err := other.Sign(like)
	require.NoError(t, err)
	return signed.Reveal()
}
