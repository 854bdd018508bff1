package manual

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/console"
)

// reader is somebody with a checkout, a terminal and the cluster.
type reader struct {
	*testing.T
	shell *console.Shell
}

// sitDown gives a test a reader with a checkout of their own.
func sitDown(t *testing.T) *reader {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, console.Checkout(root, dir))
	require.NoError(t, os.CopyFS(dir, os.DirFS(root+"/test/demo/files")))
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/values")))
	kubeconfig, err := filepath.Abs(os.Getenv("KUBECONFIG"))
	require.NoError(t, err)
	standIns, err := filepath.Abs(filepath.Join(root, console.Programs))
	require.NoError(t, err)
	bin, err := programs()
	require.NoError(t, err)
	shell := console.Open(dir, t.TempDir(), "PATH="+bin+":"+standIns+":"+os.Getenv("PATH"), "KUBECONFIG="+kubeconfig,
		"HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir())
	t.Cleanup(shell.Close)
	return &reader{t, shell}
}

// bareCluster gives a test a cluster with nothing in it that a document made, and clears it
// again. There are the images, and an Airflow's namespace.
func bareCluster(t *testing.T) {
	t.Helper()
	require.NoError(t, publish())
	r := sitDown(t)
	r.must(script("prepare.sh"))
	t.Cleanup(func() { r.must(script("leave.sh")) })
}

func script(name string) string {
	content, _ := os.ReadFile(filepath.Join("testdata", name)) // "" does nothing, and is noticed
	return string(content)
}

// must runs a script of the test's own.
func (r *reader) must(script string) string {
	r.Helper()
	// The test's context is done when it cleans up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	output, err := r.shell.Run(ctx, script)
	require.NoError(r, err, output)
	return output
}

// install installs the product as a document finds it that does not do so itself.
func (r *reader) install() {
	r.Helper()
	r.must("helm install leoflow charts/leoflow-secrets-csi --namespace leoflow --create-namespace --wait --values own.yaml")
}

// follow does what the document says.
func (r *reader) follow(path string) {
	r.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(r, err)
	document, err := console.Parse(path, string(text))
	require.NoError(r, err)
	trial := console.Trial{Shell: r.shell, Skip: r.skip, Patience: patience, Log: r.Logf}
	if err := trial.Run(r.Context(), document); err != nil {
		r.Errorf("%v\n%s", err, r.must(script("explain.sh")))
	}
}

// skip leaves out what nobody can run here.
func (r *reader) skip(command string) string {
	if strings.Contains(command, "do kind load image-archive") {
		return "" // README's, which this cluster can do
	}
	return console.Skip(command)
}

// programs is a directory with helm, from its module, and with ours. These are compiled as
// they are for the images, and so but once.
var programs = sync.OnceValues(func() (string, error) {
	bin, err := filepath.Abs(filepath.Join(root, "bin", "manual"))
	if err != nil {
		return "", err
	}
	if _, err := goCommand([]string{"CGO_ENABLED=0"}, "build", "-trimpath", "-o", bin+"/", "./cmd/..."); err != nil {
		return "", err
	}
	helm, err := goCommand(nil, "tool", "-modfile=tools/helm.mod", "-n", "helm")
	if err != nil {
		return "", err
	}
	link := filepath.Join(bin, "helm")
	_ = os.Remove(link) // of an earlier version
	return bin, os.Symlink(strings.TrimSpace(helm), link)
})

func goCommand(env []string, args ...string) (string, error) {
	command := exec.Command("go", append([]string{"-C", root}, args...)...)
	command.Env = append(os.Environ(), env...)
	command.Stderr = os.Stderr
	output, err := command.Output()
	return string(output), err
}

// publish gives the node's images the names that they have once they are published.
var publish = sync.OnceValue(func() error {
	command := exec.Command("bash", "-euc", script("publish.sh"))
	command.Dir = root
	command.Stderr = os.Stderr
	return command.Run()
})
