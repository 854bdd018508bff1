package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/console"
)

// someUser has no home, no entry in /etc/passwd that matters, and no rights.
const someUser = 1000

// The three lines of docs/without-driver.md, in one shell, by a user without rights whose home is empty.
func TestTheLinesOfALaptopRunAsAnybody(t *testing.T) {
	const path = "docs/without-driver.md"
	text, err := os.ReadFile(filepath.Join("..", "..", path))
	require.NoError(t, err)
	document, err := console.Parse(path, string(text))
	require.NoError(t, err)
	// Not t.TempDir, whose parents are root's alone.
	home, err := os.MkdirTemp("", "leoflow-laptop-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(home)) })
	require.NoError(t, os.Chmod(home, 0o755))
	work, bin := filepath.Join(home, "work"), filepath.Join(home, "bin")
	require.NoError(t, os.Mkdir(work, 0o755))
	require.NoError(t, os.Mkdir(bin, 0o755))
	for _, program := range []string{"fetcher", "agent"} {
		content, err := os.ReadFile(filepath.Join(binaries(t), program))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(bin, program), content, 0o755))
	}
	var lines, printed []string
	for _, step := range document.Steps {
		switch {
		case step.Command != "":
			lines = append(lines, step.Command)
			printed = append(printed, step.Output...)
		case step.File == "connections.yaml" || step.File == "task.py":
			require.NoError(t, os.WriteFile(filepath.Join(work, step.File), []byte(step.Content), 0o644))
		}
	}
	require.Len(t, lines, 4, "and one that takes the files away")

	empty := filepath.Join(home, "nothing")
	require.NoError(t, os.Mkdir(empty, 0o700))
	command := testwait.Command(t, "bash", "-ec", strings.Join(lines, "\n")+`
id -u
! test -e "$LEOFLOW_DIR"`)
	command.Dir, command.Env = work, []string{"HOME=" + empty, "PATH=" + bin + ":" + os.Getenv("PATH")}
	who := fmt.Sprint(os.Geteuid()) // root of a user namespace, who is nobody outside
	if users, err := os.ReadFile("/proc/self/uid_map"); err == nil && strings.Contains(string(users), " 4294967295") {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: someUser, Gid: someUser}}
		who = fmt.Sprint(someUser)
		require.NoError(t, os.Chown(empty, someUser, someUser))
	}
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, strings.Join(append(printed, who), "\n")+"\n", string(out))
	left, err := os.ReadDir(empty)
	require.NoError(t, err)
	assert.Empty(t, left, "nothing was written to the home")
}
