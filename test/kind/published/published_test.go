// Package published installs a release as somebody does who has nothing but a cluster: from a
// registry, where release/push.sh has put and signed it. The registry is one of this test's own, the
// key is thrown away. It wants what 'make published-test' prepares.
package published

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	root = "../../.."
	// firstSecret is what is promised from nothing to a task that has its secret.
	firstSecret = 5 * time.Minute
	patience    = 10 * time.Minute
)

// shell runs a script of testdata, or a command, in a directory that stays for the test.
type shell struct {
	*testing.T
	dir string
	env []string
}

func (s *shell) run(script string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), patience)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euc", "-o", "pipefail", script)
	command.Dir, command.Env = s.dir, append(os.Environ(), s.env...)
	output, err := command.CombinedOutput()
	require.NoError(s, err, "%s\n%s", script, output)
	return string(output)
}

func (s *shell) file(name string) string {
	s.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(s, err)
	return string(content)
}

func TestFirstSecretFromARegistryInThreeCommands(t *testing.T) {
	project, err := filepath.Abs(root)
	require.NoError(t, err)
	kubeconfig, err := filepath.Abs(os.Getenv("KUBECONFIG"))
	require.NoError(t, err)
	s := &shell{t, t.TempDir(), []string{"ROOT=" + project, "KUBECONFIG=" + kubeconfig, "COSIGN_PASSWORD=", "COSIGN_YES=true"}}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "task.yaml"), []byte(s.file("task.yaml")), 0o600))
	t.Cleanup(func() { s.run(s.file("leave.sh")) })
	published := strings.Fields(s.run(s.file("publish.sh")))
	registry, version := published[len(published)-2], published[len(published)-1]
	s.env = append(s.env, "REGISTRY="+registry)
	s.run(s.file("verify.sh"))
	s.run(`sed -i "s|REGISTRY|$REGISTRY|; s|VERSION|v` + version + `|" task.yaml`)

	began := time.Now()
	s.run("helm install leoflow oci://" + registry + "/charts/leoflow-secrets-csi --version " + version + " --plain-http --namespace leoflow --create-namespace --wait")
	s.run("kubectl apply --filename task.yaml --wait")
	printed := s.run("kubectl wait --for=jsonpath='{.status.phase}'=Succeeded pod/task --timeout=4m >/dev/null && kubectl logs task --container task")
	took := time.Since(began)
	assert.Equal(t, "postgres://trial:not-a-secret@db.example.com:5432/trial\n", printed)
	assert.Less(t, took, firstSecret)
	t.Logf("the first secret took %v", took.Round(time.Second))
	images := s.run(`kubectl --namespace leoflow get pods --output jsonpath='{.items[*].spec.containers[*].image}'`)
	for image := range strings.FieldsSeq(images) {
		assert.True(t, strings.HasPrefix(image, registry+"/secrets-csi/"), image)
		assert.Contains(t, image, "@sha256:")
	}
}
