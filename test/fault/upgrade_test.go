package fault

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/stack"
)

// An older version can only be built where the repository has its history.
var before = flag.String("before", "", "the `commit` of the version that the driver is changed for, and back; this one where it is empty")

// older builds the programs of -before.
func older(t *testing.T) (bin string) {
	t.Helper()
	if *before == "" {
		return binaries(t)
	}
	root := t.TempDir()
	archive := testwait.Command(t, "sh", "-c", `git -c "safe.directory=*" archive "$0" | tar -x -C "$1"`, *before, root)
	archive.Dir = filepath.Join("..", "..")
	output, err := archive.CombinedOutput()
	require.NoError(t, err, string(output))
	bin, err = stack.Build(root, "older")
	require.NoError(t, err)
	return bin
}

// change kills the driver at some instant, as a node's loss in the midst of a rollout does, and
// starts that of another version in its place.
func (r *rig) change(t *testing.T, bin string) {
	t.Helper()
	r.DriverBin = bin
	r.killWithin(t, 2*time.Millisecond)
}

// TestDriverUpgradedAndBack goes back while an entry is held, which older versions did not know,
// and forward while all entries rotate. The agent of the older version, which running pods keep,
// reads what either driver has written.
func TestDriverUpgradedAndBack(t *testing.T) {
	bin := older(t)
	required := make([]string, entriesPerPod) // of which an older version leaves out none that is broken
	for i := range required {
		required[i] = fmt.Sprint("conn_", i)
	}
	r := newRigOf(t, stack.Options{Bin: binaries(t)}, strings.Join(required, ","))
	row := r.row("driver killed (SIGKILL) in a rotation, and followed by an older version; and forward again", "real processes of two versions, random instant")
	for range *kills / 2 {
		r.rotate(t, broken)
		r.converge(t, row)
		r.change(t, bin)
		r.republish(t, row)
		r.readByAgentOf(t, bin)

		r.rotate(t)
		r.reader.awaitFirst(r.mark, 200*time.Millisecond)
		r.change(t, binaries(t))
		r.republish(t, row)
		r.converge(t, row)
		r.readByAgentOf(t, bin)
	}
	row.record(t)
}

// readByAgentOf has an agent list what it would put into the environment.
func (r *rig) readByAgentOf(t *testing.T, bin string) {
	t.Helper()
	for _, p := range r.pods {
		command := exec.CommandContext(t.Context(), filepath.Join(bin, "agent"), "env", "--dir="+r.Kubelet.Target(p), "--format=json")
		command.Stderr = os.Stderr
		output, err := command.Output()
		require.NoError(t, err)
		values := map[string]string{}
		require.NoError(t, json.Unmarshal(output, &values))
		assert.Len(t, values, entriesPerPod)
	}
}
