package fault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

func TestDriverWithoutDescriptors(t *testing.T) {
	r := newRig(t)
	row := r.row("no file descriptor left for the driver", "prlimit on the real process")
	for range some() {
		var before unix.Rlimit
		open, err := os.ReadDir(filepath.Join("/proc", r.Driver.ID(), "fd"))
		require.NoError(t, err)
		require.NoError(t, unix.Prlimit(r.Driver.PID(), unix.RLIMIT_NOFILE, nil, &before))
		tight := unix.Rlimit{Cur: uint64(len(open)), Max: before.Max}
		require.NoError(t, unix.Prlimit(r.Driver.PID(), unix.RLIMIT_NOFILE, &tight, nil))
		r.rotate(t)
		pause(t, 300*time.Millisecond)
		r.republish(t, row)
		require.NoError(t, unix.Prlimit(r.Driver.PID(), unix.RLIMIT_NOFILE, &before, nil))
		r.converge(t, row)
	}
	row.record(t)
}

func TestVolumeFull(t *testing.T) {
	r := newRig(t, "--volume-size=256Ki")
	row := r.row("tmpfs full: the next generation does not fit", "values larger than the volume")
	for range some() {
		huge := strings.Replace(connections(r.mark), `"db"`, `"`+strings.Repeat("x", 200<<10)+`"`, 1)
		require.NoError(t, r.WriteConnections(huge))
		// The first change after a start is told once the node has shown whom it is for.
		require.Eventually(t, func() bool { return strings.Contains(r.NodeOutput(), "do not fit: 262144 is the cap") },
			testwait.Limit, 10*time.Millisecond)
		pause(t, 200*time.Millisecond)
		r.republish(t, row)
		r.rotate(t)
		r.converge(t, row)
	}
	row.record(t)
}

func TestLeftoversOfAKilledWriter(t *testing.T) {
	r := newRig(t)
	row := r.row("`..data_tmp` and a half-written generation left behind", "put into the live volumes")
	for range some() {
		for _, p := range r.pods {
			target := r.Kubelet.Target(p)
			require.NoError(t, os.Symlink("nowhere", filepath.Join(target, layout.DataLinkTemp)))
			require.NoError(t, os.MkdirAll(filepath.Join(target, "..half", "connections"), 0o700))
		}
		r.rotate(t)
		r.converge(t, row)
		for _, p := range r.pods {
			assert.NoDirExists(t, filepath.Join(r.Kubelet.Target(p), "..half"))
		}
	}
	row.record(t)
}

func TestTokenExpiredBetweenTwoRefreshes(t *testing.T) {
	r := newRig(t)
	row := r.row("a pod's token expired between two refreshes", "real tokens of three seconds")
	for range some() {
		r.setTokens(r.tokens(t, 3*time.Second))
		r.republish(t, row)
		pause(t, 3*time.Second)
		r.rotate(t)
		pause(t, 200*time.Millisecond)
		assert.Equal(t, len(r.pods), r.reader.behind(r.mark), "an expired token gets nothing")
		r.setTokens(r.tokens(t, time.Hour))
		r.republish(t, row)
		r.converge(t, row)
	}
	row.record(t)
}

func (r *rig) setTokens(tokens []string) {
	for i := range r.pods {
		r.pods[i].Token = tokens[i]
	}
}
