// Package fault breaks the real programs while pods read their volumes, and counts what
// the pods saw. The counts are docs/faults.md, which 'make fault' writes anew.
package fault

import (
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/test/stack"
)

var (
	kills = flag.Int("kills", 10, "how often to kill the driver at each kind of work")
	under = flag.Duration("replicas", 20*time.Second, "how long pods start while replicas of core are killed")
	every = flag.Duration("every", 5*time.Second, "how long from one kill of a replica to the next")
	long  = flag.Duration("cut", 5*time.Second, "how long the longest cut of the network lasts")
)

// some is how often to inject what is no kill of the driver: those faults last longer,
// and have no instant to miss.
func some() int { return max(1, *kills/10) }

func TestMain(m *testing.M) { os.Exit(mounttest.RunWithNetwork(m)) }

// build builds the programs once for all tests.
var build = sync.OnceValues(func() (string, error) {
	return stack.Build(filepath.Join("..", ".."), "fault")
})

func binaries(t *testing.T) string {
	t.Helper()
	bin, err := build()
	require.NoError(t, err)
	return bin
}
