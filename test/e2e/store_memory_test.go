package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// anonymousBudget is what driver and fetcher may take of memory that is no file's, on a full node with every
// source on.
const anonymousBudget = 16 << 20

// everySource is asked for by each pod.
const everySource = "gcs, s3, blob, warehouse, a@aws-secretsmanager, b@aws-ssm, c@gcp-secretmanager, d@azure-keyvault, e@vault, f@kubernetes, g@file"

func TestAFullNodeWithEverySourceTakesLittleMemory(t *testing.T) {
	const nodePods, accounts = 110, 11
	c, bao := newClouds(t), cloudtest.StartBao(t)
	for id, server := range c.servers {
		server.Hold(func(principal, name, _ string) (string, error) {
			if strings.Contains(name, "airflow") {
				return "postgres://etl:" + cloudNeedle + "@h/s", nil
			}
			return key(id, principal), nil
		})
	}
	bao.Policy("reads", readsVault)
	bao.Role("reader", "reads", map[string]any{"bound_claims_type": "glob"}, "airflow:*")
	bao.Put("connections/e", map[string]any{"conn_uri": "postgres://etl:" + cloudNeedle + "@h/s"})
	amazon := c.servers["s3"].URL()
	c.start(t, append(vaultFlags(t, bao),
		"--source-aws-secretsmanager-kwargs={}", `--source-aws-ssm-kwargs={"endpoint_url": "`+amazon+`"}`,
		`--source-gcp-secretmanager-kwargs={"project_id": "project"}`, `--source-azure-keyvault-kwargs={"vault_url": "https://v.vault.azure.net"}`,
		"--file-connections="+file(t, "connections.json", []byte(`{"g": "postgres://etl@h/s"}`)))...)
	idle := anonymous(t, c.Driver.PID()) + anonymous(t, c.Fetcher.PID())

	for i := range nodePods {
		account := fmt.Sprint("sa", i%accounts)
		c.store(account, "f", map[string]string{"uri": "postgres://etl:" + cloudNeedle + "@h/s"})
		p := c.secretsPod(t, fmt.Sprint("p", i), account, everySource, time.Now().Add(time.Hour))
		p.Attributes["source"], p.Attributes["refresh"] = "core", "5s"
		maps.Copy(p.CloudTokens, map[string]string{cloudtest.BaoAudience: bao.Token("airflow", account, cloudtest.BaoAudience, time.Hour).Reveal()})
		require.NoError(t, c.Kubelet.Publish(t.Context(), p))
		if i == 0 {
			for id, entry := range c.entries(t, p) {
				assert.Equal(t, "delivered", string(entry.State), id)
			}
		}
	}
	full := anonymous(t, c.Driver.PID()) + anonymous(t, c.Fetcher.PID())
	// A look at every store comes on top: of three, that with the median. On a machine that has much else to
	// do, a look may meet the collector at work.
	after := make([]int64, 3)
	for i := range after {
		looked := len(bao.Asked("GET secret/data/connections/e"))
		require.Eventually(t, func() bool { return len(bao.Asked("GET secret/data/connections/e")) >= looked+accounts }, testwait.Limit, 100*time.Millisecond)
		after[i] = anonymous(t, c.Driver.PID()) + anonymous(t, c.Fetcher.PID())
	}
	slices.Sort(after)
	most := max(full, after[1])
	measured{
		fmt.Sprintf("driver and fetcher, every source on, %d volumes, anonymous", nodePods), fmt.Sprintf("%.1f MiB", mebi(most)), fmt.Sprintf("%.1f MiB idle", mebi(idle)),
		fmt.Sprintf("≤ %.0f MiB", mebi(anonymousBudget)), most <= anonymousBudget,
	}.record(t)
	assert.LessOrEqual(t, most, int64(anonymousBudget))
	c.noNeedle(t)
}

func mebi(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func anonymous(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Anonymous:" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			require.NoError(t, err)
			return kilobytes << 10
		}
	}
	require.Fail(t, "no line of anonymous memory", "%s", text)
	return 0
}
