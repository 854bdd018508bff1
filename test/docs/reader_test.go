package docs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/test/console"
	"github.com/leoflow/secrets-csi/test/stack"
)

// exports is where the export files are that documents begin with.
const exports = root + "/test/demo/files"

// volume is where a container finds its volume, and so does a reader here.
const volume = "/var/run/leoflow/secrets"

// machine is what a reader of a document has: our programs in PATH, and a volume that a
// real driver filled.
type machine struct{ bin string }

func prepare(t *testing.T) machine {
	t.Helper()
	bin, err := programs()
	require.NoError(t, err)
	publish(t, bin)
	return machine{bin}
}

// publish mounts a volume of the pod that the documents speak of. The tests run in a mount
// namespace of their own, with which it goes.
func publish(t *testing.T, bin string) {
	t.Helper()
	options := stack.Options{Bin: bin}
	for name, content := range map[string]*string{
		"connections.json": &options.Connections, "variables.json": &options.Variables, "rules.yaml": &options.Rules,
	} {
		*content = text(t, filepath.Join(exports, name))
	}
	running, err := stack.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, running.Close()) })
	token, err := running.Token(t.Context(), "--tenant=acme", "--dag=daily_report", "--task=load")
	require.NoError(t, err)
	pod := stack.Pod{
		Name: "daily-report-load", Namespace: "airflow", ServiceAccount: "etl", UID: "3f1c9a52", Token: token,
		Attributes: map[string]string{"connections": "warehouse, gcp_default, sandbox?", "variables": "*"},
	}
	require.NoError(t, running.Kubelet.Publish(t.Context(), pod))
	// Where documents and examples write, the machine is not to notice.
	for _, dir := range []string{"/run", "/tmp/leoflow"} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"))
		t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	}
	require.NoError(t, os.MkdirAll(volume, 0o755))
	require.NoError(t, unix.Mount(running.Kubelet.Target(pod), volume, "", unix.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(volume, unix.MNT_DETACH)) })
}

// checkOut gives a document a checkout of its own to be followed in.
func (m machine) checkOut(t *testing.T) *console.Shell {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, console.Checkout(root, dir))
	return m.sitDown(t, dir)
}

// sitDown begins in the directory, with the export files of an Airflow, and an airflow that
// exports them.
func (m machine) sitDown(t *testing.T, dir string) *console.Shell {
	t.Helper()
	require.NoError(t, os.CopyFS(dir, os.DirFS(exports)))
	programs, err := filepath.Abs(filepath.Join(root, console.Programs))
	require.NoError(t, err)
	return console.Open(dir, t.TempDir(), "PATH="+m.bin+":"+programs+":"+os.Getenv("PATH"))
}
