package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testgolden"
)

// row is one attack and what came of it.
type row struct {
	attack, how   string
	sources       []string
	quiet, beside starts
	kills, peak   int64
	notes         []string
	node          *node
	// least is how long the attack lasts at least, so that what it is to show can happen.
	least time.Duration
}

// row begins one, with honest pods that ask these sources.
func (n *node) row(attack, how string, sources ...string) *row {
	return &row{attack: attack, how: how, sources: sources, node: n}
}

// run measures honest starts without the attack, then with it. The attack returns once it goes on
// by itself.
func (r *row) run(t *testing.T, attack func()) {
	t.Helper()
	r.quiet = r.node.startHonest(t, *length/2, r.sources...)
	attack()
	r.beside = r.node.startHonest(t, max(*length, r.least), r.sources...)
}

// checkWords looks for one tenant's name in what the other's pods were told.
func (n *node) checkWords(t *testing.T) {
	t.Helper()
	for _, event := range n.api.Events() {
		for _, tenant := range []string{bank, evil} {
			if event.Namespace != tenant {
				assert.NotContains(t, event.Message, tenant, "an event of namespace %s", event.Namespace)
			}
		}
	}
	health, err := n.Kubelet.Node.NodeGetStorageHealth(t.Context(), &csi.NodeGetStorageHealthRequest{})
	require.NoError(t, err)
	for _, tenant := range []string{bank, evil} {
		assert.NotContains(t, health.String(), tenant, "what the node says of its sources")
	}
}

// note adds to what the row says besides.
func (r *row) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// record holds the row against what has to be, and puts it into the document.
func (r *row) record(t *testing.T) {
	t.Helper()
	r.kills = r.node.driver.kills(t) + r.node.fetcher.kills(t) + r.node.core.kills(t)
	r.peak = r.node.driver.peak(t)
	r.node.checkWords(t)
	assert.Empty(t, r.quiet.failed, "honest starts that failed though nobody attacked")
	assert.Empty(t, r.beside.failed, "honest starts that failed")
	assert.Zero(t, r.kills, "processes killed for their limit")
	t.Log(r)
	testgolden.Row(t, "../../docs/faults.md", "<!-- end of attacks -->", r.String(), "make attack")
}

func (r *row) String() string {
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %s | %s | %d MiB | %s |", r.attack, r.how, len(r.beside.took), len(r.beside.failed), r.kills,
		short(r.quiet.p99()), short(r.beside.p99()), r.peak>>20, strings.Join(r.notes, "; "))
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
