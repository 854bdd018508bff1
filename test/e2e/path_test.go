package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/stack"
)

// childEnvironment is what a child of the agent finds in its environment.
func childEnvironment(t *testing.T, s *stack.Stack, p stack.Pod) map[string]string {
	t.Helper()
	command := testwait.Command(t, filepath.Join(binaries(t), "agent"),
		"exec", "--dir", s.Kubelet.Target(p), "--", "env", "-0")
	command.Stderr = os.Stderr
	out, err := command.Output()
	require.NoError(t, err)
	environment := map[string]string{}
	for variable := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AIRFLOW_") {
			environment[name] = value
		}
	}
	return environment
}

func TestAConnectionTravelsFromTheExportFileIntoTheChild(t *testing.T) {
	awkward := " päss wörd\t%40@:/?#[]&+=\\\"'\u2028\n$HOME 🔑 "
	s := start(t, stack.Options{
		Connections: asJSON(t, map[string]any{
			"warehouse":  map[string]any{"conn_type": "postgres", "host": "DB.Example.COM", "login": "etl", "password": awkward, "port": 5432},
			"my-conn.v2": "mysql://u:p@h:3306/s?charset=utf8",
			"gcp":        map[string]any{"conn_type": "google_cloud_platform", "extra": map[string]any{"project": "p", "num_retries": 5}},
		}),
		Variables: asJSON(t, map[string]any{"region": awkward, "batch.size-max": 500, "empty": ""}),
		Rules:     allowAll,
	})
	p := pod("a", token(t, s), map[string]string{"connections": "*", "variables": "*"})
	require.NoError(t, s.Kubelet.Publish(t.Context(), p))

	environment := childEnvironment(t, s, p)
	rendered, err := run(t, "core", "render", "--json", "--connections", s.Connections, "--variables", s.Variables)
	require.NoError(t, err)
	var preview struct{ Connections, Variables map[string]string }
	require.NoError(t, json.Unmarshal([]byte(rendered), &preview))

	assert.Len(t, environment, 6)
	for id, value := range preview.Connections {
		assert.Equal(t, value, environment["AIRFLOW_CONN_"+strings.ToUpper(id)], "core render shows what the child gets")
	}
	for key, value := range preview.Variables {
		assert.Equal(t, value, environment["AIRFLOW_VAR_"+strings.ToUpper(key)])
	}
	assert.Equal(t, awkward, environment["AIRFLOW_VAR_REGION"])
	assert.Equal(t, "500", environment["AIRFLOW_VAR_BATCH.SIZE-MAX"])
	assert.Contains(t, environment, "AIRFLOW_VAR_EMPTY")
	assert.Equal(t, `google-cloud-platform:///?__extra__=%7B%22num_retries%22%3A5%2C%22extra__google_cloud_platform__num_retries%22%3A5%2C%22project%22%3A%22p%22%2C%22extra__google_cloud_platform__project%22%3A%22p%22%7D`, environment["AIRFLOW_CONN_GCP"])
}

func TestACoreOfTheExistingContractIsServedFromCorrectly(t *testing.T) {
	s := start(t, stack.Options{
		Connections: asJSON(t, map[string]any{
			"gcp_bare": map[string]any{"conn_type": "google_cloud_platform", "extra": map[string]any{"project": "p"}},
			"gcp_full": map[string]any{"conn_type": "google_cloud_platform", "host": "h", "login": "l", "password": "p/w", "extra": map[string]any{"project": "p"}},
			"unasked":  "mysql://u:p@h/s",
		}),
		Variables:  `{"region": "north", "unasked": "x"}`,
		Rules:      allowAll,
		CoreArgs:   []string{"--contract=agent", "--legacy-uris"},
		DriverArgs: []string{"--poll-every=1s"},
	})
	p := pod("a", token(t, s), map[string]string{"connections": "gcp_bare, gcp_full, absent?", "variables": "region"})
	require.NoError(t, s.Kubelet.Publish(t.Context(), p))

	const extra = `__extra__=%7B%22project%22%3A%22p%22%2C%22extra__google_cloud_platform__project%22%3A%22p%22%7D`
	assert.Equal(t, map[string]string{
		"AIRFLOW_CONN_GCP_BARE": "google-cloud-platform:///?" + extra,
		"AIRFLOW_CONN_GCP_FULL": "google-cloud-platform://l:p%2Fw@h/?" + extra,
		"AIRFLOW_VAR_REGION":    "north",
	}, childEnvironment(t, s, p), "and nothing that was not asked for")

	require.NoError(t, s.ReplaceInConnections("p/w", "n/w"))
	require.Eventually(t, func() bool {
		value, err := os.ReadFile(filepath.Join(s.Kubelet.Target(p), "connections", "gcp_full"))
		return err == nil && strings.Contains(string(value), "n%2Fw")
	}, testwait.Limit, 20*time.Millisecond, "a core without a watch is polled")

	missing := pod("b", p.Token, map[string]string{"connections": "absent, nowhere"})
	err := s.Kubelet.Publish(t.Context(), missing)
	assert.ErrorContains(t, err, `code = NotFound desc = connection "absent" does not exist in core`)
	assert.ErrorContains(t, err, `connection "nowhere" does not exist in core`)
}

func TestCoreAwayAndBack(t *testing.T) {
	s := start(t, stack.Options{Connections: `{"warehouse": "mysql://u:first@h/s"}`, Variables: "{}", Rules: allowAll})
	p := pod("a", token(t, s), map[string]string{"connections": "warehouse"})
	require.NoError(t, s.Kubelet.Publish(t.Context(), p))
	require.NoError(t, s.Core.Stop())

	late := pod("b", p.Token, p.Attributes)
	assert.ErrorContains(t, s.Kubelet.Publish(t.Context(), late), "code = Unavailable desc = core cannot be asked now: ")
	require.NoError(t, s.Kubelet.Publish(t.Context(), p), "a republish of a live volume never fails")
	assert.Equal(t, "mysql://u:first@h/s", childEnvironment(t, s, p)["AIRFLOW_CONN_WAREHOUSE"])

	require.NoError(t, s.ReplaceInConnections("first", "second"))
	require.NoError(t, s.StartCore(context.Background()))
	require.Eventually(t, func() bool {
		value, err := os.ReadFile(filepath.Join(s.Kubelet.Target(p), "connections", "warehouse"))
		return err == nil && string(value) == "mysql://u:second@h/s"
	}, testwait.Limit, 20*time.Millisecond, "what changed while core was away arrives once it is back")
	require.NoError(t, s.Kubelet.Publish(t.Context(), late))
}

func TestADriverThatIsKilledComesBackToItsVolumes(t *testing.T) {
	s := start(t, stack.Options{Connections: `{"warehouse": "mysql://u:first@h/s"}`, Variables: "{}", Rules: allowAll})
	p := pod("a", token(t, s), map[string]string{"connections": "warehouse"})
	require.NoError(t, s.Kubelet.Publish(t.Context(), p))
	s.Driver.Kill()
	assert.Equal(t, "mysql://u:first@h/s", childEnvironment(t, s, p)["AIRFLOW_CONN_WAREHOUSE"])

	require.NoError(t, s.ReplaceInConnections("first", "second"))
	require.NoError(t, s.StartDriver(context.Background()))
	require.NoError(t, s.Kubelet.Publish(t.Context(), p), "kubelet's republish")
	require.Eventually(t, func() bool {
		return childEnvironment(t, s, p)["AIRFLOW_CONN_WAREHOUSE"] == "mysql://u:second@h/s"
	}, testwait.Limit, 20*time.Millisecond)
	orphan := pod("never-republished", p.Token, p.Attributes)
	require.NoError(t, s.Kubelet.Publish(t.Context(), orphan))
	s.Driver.Kill()
	require.NoError(t, s.StartDriver(context.Background()))
	require.NoError(t, s.Kubelet.Unpublish(t.Context(), orphan), "a volume that this process has never seen")
	assert.NoDirExists(t, s.Kubelet.Target(orphan))
}
