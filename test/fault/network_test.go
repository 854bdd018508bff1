package fault

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// needFilter ends a test where packets cannot be dropped: an old iptables wants more than
// the root of a user namespace may, and a kernel may have no filter.
func needFilter(t *testing.T) {
	t.Helper()
	testneed.Program(t, "iptables")
	if out, err := testwait.Command(t, "iptables", "-S", "INPUT").CombinedOutput(); err != nil {
		testneed.Missing(t, "iptables does not work here: "+strings.TrimSpace(string(out)))
	}
}

// cut drops every packet to and from core, and returns what ends that.
func cut(t *testing.T, r *rig) (mend func()) {
	t.Helper()
	_, port, err := net.SplitHostPort(r.Address())
	require.NoError(t, err)
	rule := func(verb string) {
		for _, end := range []string{"--dport", "--sport"} {
			out, err := testwait.Command(t, "iptables", verb, "INPUT", "-p", "tcp", end, port, "-j", "DROP").CombinedOutput()
			require.NoError(t, err, string(out))
		}
	}
	rule("-I")
	return func() { rule("-D") }
}

func TestNetworkCutForASecond(t *testing.T) {
	needFilter(t)
	r := newRig(t)
	row := r.row("network between node and core dropped for a second", "iptables DROP in a network namespace")
	for range some() {
		mend := cut(t, r)
		r.rotate(t)
		pause(t, time.Second)
		mend()
		r.converge(t, row)
	}
	row.record(t)
}

func TestNetworkCutForLong(t *testing.T) {
	needFilter(t)
	r := newRig(t, "--fetch-timeout=2s")
	row := r.row("network between node and core dropped for longer than anybody waits", "iptables DROP in a network namespace, for "+long.String())
	mend := cut(t, r)
	r.rotate(t)
	pause(t, *long)
	r.republish(t, row)
	mend()
	r.converge(t, row)
	row.record(t)
}
