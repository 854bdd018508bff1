package manual

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These are what admins met who did as they were told, on clusters that were not as the
// documents had them in mind.

// fails runs a script that is to fail, and returns what it printed.
func (r *reader) fails(script string) string {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	output, err := r.shell.Run(ctx, script)
	require.Error(r, err, output)
	return output
}

// On all nodes but one the directory leads to kubelet's. Helm counts a node in ten, and so the only
// one of a cluster, as enough without.
func TestHelmDoesNotSucceedWhileANodeLacksItsDriver(t *testing.T) {
	bareCluster(t)
	r := sitDown(t)
	r.must(script("half.sh"))
	said := r.fails("helm install leoflow charts/leoflow-secrets-csi --namespace leoflow --create-namespace " +
		"--wait --timeout 60s --values own.yaml --set kubeletRootDir=/half")
	assert.Regexp(t, `[0-9]+ of [0-9]+ nodes have a driver of this version that is ready`, said)
	// Nothing was made where kubelet is not.
	assert.Equal(t, "absent\n", r.must(`$LEOFLOW_NODE_EXEC "$(cat bare-node)" sh -c 'test -e /half || echo absent'`))
	r.must(`for node in $(cat half-nodes); do $LEOFLOW_NODE_EXEC "$node" rm /half; done`)

	r.must("helm upgrade leoflow charts/leoflow-secrets-csi --namespace leoflow --wait --values own.yaml")
	assert.Equal(t, "", r.must("kubectl --namespace leoflow get jobs,roles,rolebindings --output name | grep -v /leoflow-core- || :"))
}

func TestUninstallIsRefusedUnderRunningPods(t *testing.T) {
	bareCluster(t)
	r := sitDown(t)
	r.install()
	r.must(script("holder.sh"))
	said := r.fails("helm uninstall leoflow --namespace leoflow")
	assert.Contains(t, said, "default/holder")
	assert.Contains(t, said, "--no-hooks")
	assert.Contains(t, r.must("helm status leoflow --namespace leoflow"), "leoflow")
	assert.Equal(t, "postgres\n", r.must("kubectl -n default exec holder -- cut -d: -f1 /s/connections/warehouse"))
	r.must("kubectl -n default delete pod holder --grace-period=1 --timeout=1m")
	r.must("helm uninstall leoflow --namespace leoflow --wait")
	assert.Equal(t, "", r.must("kubectl get clusterroles,clusterrolebindings --output name | grep -- -leoflow || :"))
	assert.Equal(t, "", r.must("kubectl --namespace leoflow get jobs --output name"))
}

// docs/install.md quotes what kubelet says.
func TestKubeletRefusesStaticPodsInItsLogAlone(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "install.md"))
	require.NoError(t, err)
	quoted := regexp.MustCompile("(?s)\\*\\*Static pods\\.\\*\\*[^`]*`([^`]+)`").FindSubmatch(page)
	require.NotNil(t, quoted, "docs/install.md says nothing of static pods")
	bareCluster(t)
	r := sitDown(t)
	r.install()
	assert.Contains(t, r.must(script("static.sh")), string(quoted[1]))
	assert.Equal(t, "", r.must("kubectl get pods --all-namespaces --output name | grep static || :"))
}
