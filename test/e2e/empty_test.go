package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/stack"
)

// {} is what a truncated export and a wrong key in a Secret look like. A revocation beside it is
// in force all the same.
func TestAnEmptiedExportTakesNothingFromRunningPods(t *testing.T) {
	const pods = 10
	s := start(t, stack.Options{
		Connections: `{"payroll": "mysql://u:secret@h/s", "warehouse": "mysql://u:first@h/s"}`, Variables: "{}", Rules: allowAll,
	})
	running := make([]stack.Pod, pods)
	for i := range running {
		running[i] = pod("p"+strconv.Itoa(i), token(t, s), map[string]string{"connections": "payroll, warehouse"})
		require.NoError(t, s.Kubelet.Publish(t.Context(), running[i]))
	}
	require.NoError(t, s.WriteConnections("{}"))
	require.Eventually(t, func() bool { return strings.Contains(s.Core.Output(), "has no entries, and had 2") }, 10*time.Second, 5*time.Millisecond)
	revoke(t, s, running[0])
	began := time.Now()
	for _, p := range running {
		require.Eventually(t, func() bool {
			_, err := os.Lstat(filepath.Join(s.Kubelet.Target(p), "connections", "payroll"))
			return os.IsNotExist(err)
		}, 10*time.Second, 5*time.Millisecond, "it is still there")
		assert.Equal(t, "mysql://u:first@h/s", readFrom(t, s, p, "warehouse"))
	}
	assert.Less(t, time.Since(began), soon)
}
