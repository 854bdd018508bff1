package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/stack"
)

// What kubelet does in a pod without a wrapper, while core's entry changes every second: the init container writes the
// file, and the sidecar's exit starts both again. No value is left behind.
func TestARotationEverySecondEndsWithTheLastValue(t *testing.T) {
	s := start(t, stack.Options{Connections: warehouseOf("first"), Variables: "{}", Rules: allowAll})
	p := asking("restarts", token(t, s))
	require.NoError(t, s.Kubelet.Publish(t.Context(), p))
	file := filepath.Join(t.TempDir(), "leoflow")
	agent := func(args ...string) *exec.Cmd {
		return testwait.Command(t, filepath.Join(binaries(t), "agent"), append(args, "--dir", s.Kubelet.Target(p))...)
	}
	const changes = 5
	last := fmt.Sprint("value", changes)
	var writing sync.WaitGroup
	writing.Go(func() {
		seconds := time.NewTicker(time.Second)
		defer seconds.Stop()
		for i := range changes {
			<-seconds.C
			assert.NoError(t, s.WriteConnections(warehouseOf(fmt.Sprint("value", i+1))))
		}
	})
	restarts := 0
	for ; ; restarts++ {
		output, err := agent("env", "--format=kubelet", "--allow-disk", "--output="+file).CombinedOutput()
		require.NoError(t, err, string(output))
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.Contains(string(content), last) {
			break
		}
		output, err = agent("wait", "--rotation", "--exit-code=42", "--env-file="+file).CombinedOutput()
		var ended *exec.ExitError
		require.ErrorAs(t, err, &ended, string(output))
		require.Equal(t, 42, ended.ExitCode(), string(output))
	}
	writing.Wait()
	t.Logf("%d changes, one a second, made %d restarts", changes, restarts)
	assert.Positive(t, restarts)
	assert.LessOrEqual(t, restarts, changes)
}
