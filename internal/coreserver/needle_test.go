package coreserver_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Every value, key and token holds "n33dle" or is listed here; all paths are run at
// debug level, and nothing that core says to anybody but the rightful caller has any.
func TestCoreTellsNoSecret(t *testing.T) {
	sealKey := "n33dle-seal-key-0a1B2c3D4e5F6g7!"
	key, err := seal.ParseKey(secret.New(hex.EncodeToString([]byte(sealKey))))
	require.NoError(t, err)
	c := startCluster(t, func(config *coreserver.Config) { config.SealKey = key })
	good, stranger := c.token("audit"), c.token("stranger")
	pod, driver := c.pod("team-a", "worker", "p"), c.pod("leoflow", "driver", "d")
	foreign := startCluster(t, nil).pod("team-a", "worker", "p")
	var said []string
	note := func(err error) {
		if err != nil {
			said = append(said, err.Error())
		}
	}

	for _, token := range []string{good, stranger, good + "n33dle", "n33dle", "", pod, driver, foreign} {
		note(c.watchAs(bearing(within(t), token)))
		_, err := c.agent().GetVariables(bearing(within(t), token), &agentv1.GetVariablesRequest{})
		note(err)
		_, err = c.agent().GetConnections(bearing(within(t), token), &agentv1.GetConnectionsRequest{})
		note(err)
	}
	response, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{
		Callers:     callers(good, stranger, good+"n33dle", "n33dle", "", pod, driver, foreign),
		Connections: named("warehouse", "broken", "absent"), Variables: &secretsv1.Selection{All: true},
	})
	require.NoError(t, err)
	for _, result := range response.Results {
		said = append(said, result.String())
	}

	w := c.watch("")
	said = append(said, w.next().String())
	sealed := key.Seal(seal.Place{}, secret.New("n33dle"))
	for name, content := range map[string]string{
		"connections.json": `{"warehouse": n33dle}`,
		"variables.yaml":   "env: [n33dle\n",
		"rules.yaml":       "rules: [*n33dle\n",
		"tls.key":          "n33dle",
	} {
		c.write(name, content)
	}
	c.server.Reload()
	c.write("connections.json", `{"warehouse": "n33dle", "secret": {"conn_type": ["n33dle"]}, "broken": "`+sealed+`", "port": {"conn_type": "n33dle", "port": "n33dle"}}`)
	c.write("variables.yaml", `{env: "`+sealed+`"}`)
	c.server.Reload()
	said = append(said, w.next().String())
	_, err = c.agent().GetConnections(bearing(within(t), good), &agentv1.GetConnectionsRequest{})
	note(err)
	c.away()
	note(c.watchAs(bearing(within(t), driver)))
	_, err = c.agent().GetConnections(bearing(within(t), pod), &agentv1.GetConnectionsRequest{})
	note(err)

	said = append(said, c.audit.String(), c.log.String())
	for _, needle := range []string{
		"n33dle", sealKey, hex.EncodeToString([]byte(sealKey)), base64.StdEncoding.EncodeToString([]byte("n33dle")),
		good, stranger, pod, driver, foreign, sealed[len(seal.Marker):],
		signature(good), signature(pod), signature(driver), signature(foreign),
	} {
		for _, text := range said {
			assert.NotContains(t, text, needle)
		}
	}
	assert.Contains(t, c.log.String(), `"level":"DEBUG"`)
}

func signature(token string) string { return token[strings.LastIndex(token, ".")+1:] }
