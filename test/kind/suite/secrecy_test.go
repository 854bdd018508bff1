package suite

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/needle"
)

// TestNothingInTheClusterHoldsASecret walks the ways of a secret, good and bad, and then
// searches for it: in every object of the API, in the raw etcd database, in kubelet's
// directory and in all logs on the disk of every node.
func TestNothingInTheClusterHoldsASecret(t *testing.T) {
	s := begin(t)
	s.Run(withMemory(withAgent(task("task", all(), "exec "+agentPath+" exec -- sleep 3600"))), await.IsReady)
	s.Create(task("denied", attributes{"connections": "warehouse, payroll"}, stays))
	s.event("denied", "payroll")
	s.Run(task("everything", attributes{"connections": "*", "variables": "*"}, stays), await.IsReady)
	variable, _ := s.rotate()
	s.awaitVariable("task", variable)

	needles := maps.Clone(s.product.entries.needles)
	// What is in a pod's specification and in its log: the search finds it, or is none.
	const control = "needleThatTheSearchMustFind"
	needles[control] = "control"
	s.Output(controlPod(control))
	found := map[string][]string{}
	s.searchAPI(needles, found)
	nodes, _ := s.nodes()
	for _, name := range nodes {
		n := s.onNode(name)
		n.searchDisk("etcd", "/var/lib/etcd", needles, found)
		n.searchDisk("kubelet's directory", "/var/lib/kubelet", needles, found)
		n.searchDisk("logs", "/var/log", needles, found)
	}
	assert.ElementsMatch(t, []string{"pods", "etcd", "logs"}, found["control"], "the search finds what is there")
	delete(found, "control")
	assert.Empty(t, found)
}

func unzipped(content string) ([]byte, error) {
	reader, err := gzip.NewReader(strings.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

func controlPod(needle string) *corev1.Pod {
	pod := task("control", attributes{"variables": "region"}, "echo $CONTROL")
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "CONTROL", Value: needle}}
	return pod
}

// searchAPI goes through every object of every kind that can be listed.
func (s *scenario) searchAPI(needles map[string]string, found map[string][]string) {
	s.Helper()
	client, err := dynamic.NewForConfig(s.Config)
	require.NoError(s, err)
	groups, err := s.Client.Discovery().ServerPreferredResources()
	require.NoError(s, err)
	groups = discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list"}}, groups)
	kinds := 0
	for _, group := range groups {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		require.NoError(s, err)
		for _, resource := range group.APIResources {
			list, err := client.Resource(version.WithResource(resource.Name)).List(s.Ctx, metav1.ListOptions{})
			require.NoError(s, err, resource.Name)
			content, err := json.Marshal(list)
			require.NoError(s, err)
			needle.Search(resource.Name, content, needles, found)
			kinds++
		}
	}
	s.Logf("searched the objects of %d kinds", kinds)
}

// searchDisk goes through the files of a directory of the node, and of no other file
// system that is mounted in it.
func (n *node) searchDisk(place, directory string, needles map[string]string, found map[string][]string) {
	n.Helper()
	content := n.shell(`[ -d ` + rootOfNode + directory + ` ] || exit 0
		find ` + rootOfNode + directory + ` -xdev -type f -exec cat {} + 2>/dev/null | gzip -1`)
	if content == "" {
		n.Logf("NOT SEARCHED: %s: node %s has no %s", place, n.name, directory)
		return
	}
	files, err := unzipped(content)
	require.NoError(n, err)
	n.Logf("searched %d bytes of %s on %s", len(files), place, n.name)
	needle.Search(place, files, needles, found)
}
