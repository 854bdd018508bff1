package testneed

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// role is what this binary plays when a test starts it once more.
const role = "LEOFLOW_TEST_NEED_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(role) == "all" && !Listing() {
		os.Exit(MissingForAll("no such kernel"))
	}
	os.Exit(m.Run())
}

// TestNeedy runs only where another test starts it.
func TestNeedy(t *testing.T) {
	if os.Getenv(role) != "one" {
		return
	}
	Program(t, "sh", "no-such-program")
	t.Error("it goes on")
}

// again runs this binary with the role, and returns what it prints and what it records.
func again(t *testing.T, as, ci string) (output, recorded string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "not-run")
	command := testwait.Command(t, "/proc/self/exe", "-test.run=^TestNeedy$", "-test.v")
	command.Env = append(os.Environ(), role+"="+as, "CI="+ci, record+"="+file)
	out, err := command.CombinedOutput()
	content, readErr := os.ReadFile(file)
	if readErr != nil {
		require.ErrorIs(t, readErr, os.ErrNotExist)
	}
	return string(out), string(content), err
}

func TestWhatIsMissingIsSaidAndCounted(t *testing.T) {
	output, recorded, err := again(t, "one", "")
	require.NoError(t, err, output)
	assert.Contains(t, output, "--- SKIP: TestNeedy")
	assert.Contains(t, output, "no-such-program is not in PATH")
	assert.Equal(t, "1\tinternal/testneed\tTestNeedy\tno-such-program is not in PATH\n", recorded)

	output, recorded, err = again(t, "all", "")
	require.NoError(t, err, output)
	assert.Equal(t, "not run: no such kernel\n", output)
	assert.Equal(t, "1\tinternal/testneed\t(all)\tno such kernel\n", recorded, "the one that was asked for")
}

// 'make test' ends with what the script says.
func TestWhatIsNotRunIsSummedUp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "not-run")
	for content, said := range map[string]string{
		"": "No test was skipped: this machine has what they need.\n",
		"1\tpkg/b\tTestB\tjq is not in PATH\n1\tpkg/a\tTestA\tjq is not in PATH\n40\tpkg/c\t(all)\tno namespace\n": `
Not run:
  pkg/a TestA: jq is not in PATH
  pkg/b TestB: jq is not in PATH
  pkg/c (all): no namespace
    2 tests: jq is not in PATH
   40 tests: no namespace
42 tests were not run.
`,
		"1\tpkg/a\tTestA\tjq is not in PATH\n": `
Not run:
  pkg/a TestA: jq is not in PATH
    1 test: jq is not in PATH
1 test was not run.
`,
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		summary, err := testwait.Command(t, "../../test/not-run.sh", file).Output()
		require.NoError(t, err)
		assert.Equal(t, said, string(summary))
	}
}

func TestCILeavesNothingOut(t *testing.T) {
	for _, as := range []string{"one", "all"} {
		output, recorded, err := again(t, as, "true")
		assert.Error(t, err, as)
		assert.Contains(t, output, "CI leaves no test out", as)
		assert.Empty(t, recorded, as)
	}
}
