package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/stack"
)

func TestASoundNodeIsSeenToBe(t *testing.T) {
	driver := unused(t)
	s := start(t, stack.Options{
		Connections: `{"warehouse": "postgres://etl:first@db/base"}`, Variables: `{}`, Rules: allowAll,
		DriverArgs: []string{"--health-address=" + driver.address},
	})
	require.NoError(t, s.Kubelet.Publish(t.Context(), pod("first", token(t, s), map[string]string{"connections": "warehouse"})))
	driver.await(t, `leoflow_csi_ready`, 1)
	driver.await(t, `leoflow_csi_watch_up{source="core"}`, 1)
	driver.await(t, `leoflow_csi_source_up{source="core"}`, 1)
	driver.await(t, `leoflow_csi_volumes{source="core"}`, 1)
	driver.await(t, `leoflow_csi_volumes_stale{source="core"}`, 0)
	driver.await(t, `leoflow_csi_volume_bytes`, 1)
	require.NoError(t, s.WriteConnections(`{"warehouse": "postgres://etl:second@db/base"}`))
	driver.await(t, `leoflow_csi_rotations_total{cause="watch",source="core"}`, 1)
	driver.await(t, `leoflow_csi_rotation_lag_seconds_count`, 1)
	assert.NotContains(t, driver.page(t), "warehouse")

	for program, process := range map[string]*stack.Process{"driver": s.Driver, "fetcher": s.Fetcher} {
		doctor := testwait.Command(t, filepath.Join(binaries(t), program), "doctor", "--pid="+process.ID(), "--json")
		doctor.Env = append(os.Environ(), "LEOFLOW_NODE_ID=here") // as kubectl hands on the container's
		said, _ := doctor.Output()
		check := map[string]string{"driver": "driver", "fetcher": "core"}[program]
		assert.Regexp(t, `"check": "`+check+`",\s+"state": "ok"`, string(said))
	}
}
