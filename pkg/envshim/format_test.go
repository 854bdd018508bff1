package envshim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// lineEnds are what some reader of text takes for the end of a line: the shell's and Docker's, and
// Python's str.splitlines, by which Airflow reads its own files.
var lineEnds = []string{"\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\u0085", "\u2028", "\u2029"}

// hostile are values that try to be more than one variable.
func hostile() (entries []Entry) {
	for number, end := range lineEnds {
		for at, value := range []string{
			"north" + end + "AIRFLOW_CONN_WAREHOUSE=postgres://attacker",
			"no'rth" + end + "export AIRFLOW_CONN_WAREHOUSE=attacker #",
			`no"rth",` + end + `"AIRFLOW_CONN_WAREHOUSE": "attacker`,
			end, "north\\" + end,
		} {
			entries = append(entries, variable(fmt.Sprintf("v%d_%d", number, at), value))
		}
	}
	return append(entries, variable("region", "no'rth $x `y` $(z) \\n\n\"z\""), variable("uri", "a://u:p%40@h/?q=<&>#"), variable("empty", ""))
}

func write(t *testing.T, format Format, entries []Entry) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, format.Write(&out, entries))
	return out.String()
}

func TestJSONGivesBackEveryValue(t *testing.T) {
	want, read := map[string]string{}, map[string]string{}
	for _, entry := range hostile() {
		want[entry.Env] = entry.Value.Reveal()
	}
	for _, end := range lineEnds { // in a name
		want["AIRFLOW_VAR_X"+end+"LD_PRELOAD"] = "x"
	}
	entries := hostile()
	for _, end := range lineEnds {
		entries = append(entries, variable("x"+end+"ld_preload", "x"))
	}
	require.NoError(t, json.Unmarshal([]byte(write(t, JSON, entries)), &read))
	assert.Equal(t, want, read)
	assert.JSONEq(t, "{}", write(t, JSON, nil))
}

func TestAShellSetsEveryValueAndNothingElse(t *testing.T) {
	entries := hostile()
	want := "HOME=/\x00"
	for _, entry := range entries {
		want += entry.Env + "=" + entry.Value.Reveal() + "\x00"
	}
	for _, shell := range []string{"sh", "bash"} {
		command := testwait.Command(t, shell, "-c", write(t, Export, entries)+`cat /proc/self/environ`)
		command.Env = []string{"HOME=/"}
		out, err := command.Output()
		require.NoError(t, err)
		assert.ElementsMatch(t, strings.Split(want, "\x00"), withoutShells(strings.Split(string(out), "\x00")), shell)
	}
	assert.Empty(t, write(t, Export, nil))
}

// withoutShells leaves out what a shell sets by itself.
func withoutShells(environ []string) []string {
	return slices.DeleteFunc(environ, func(variable string) bool {
		return slices.Contains([]string{"PWD", "OLDPWD", "SHLVL", "_"}, variableName(variable)) && variable != ""
	})
}

func TestFormatsRefuseWhatTheyCannotCarry(t *testing.T) {
	for _, row := range []struct {
		format  Format
		entry   Entry
		message string
	}{
		{Export, variable("my-key", "needle"), `variable "my-key": no shell can set AIRFLOW_VAR_MY-KEY; use json, or 'agent exec'`},
		{Export, variable("x\nLD_PRELOAD", "needle"), `no shell can set "AIRFLOW_VAR_X\nLD_PRELOAD"; `},
		{Export, variable("x\u2028LD_PRELOAD", "needle"), `no shell can set "AIRFLOW_VAR_X\u2028LD_PRELOAD"; `},
		{JSON, variable("a", "needle\xff"), `variable "a": a value that is not UTF-8 does not fit the format json`},
		{JSON, variable("a", "needle\x00"), `variable "a": the value holds a NUL byte`},
		{"toml", variable("a", "needle"), `format "toml" is not known: json, export or kubelet`},
	} {
		var out bytes.Buffer
		err := row.format.Write(&out, []Entry{variable("good", "good"), row.entry})
		assert.ErrorContains(t, err, row.message)
		assert.NotContains(t, err.Error(), "needle")
		assert.Empty(t, out.String())
		assert.Equal(t, row.format != "toml", row.format.IsKnown())
	}
}

func TestReplaceLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	_, err := Install(dir)
	require.NoError(t, err)
	path, err := Install(dir)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755), info.Mode())
	running, err := os.Stat("/proc/self/exe")
	require.NoError(t, err)
	assert.Equal(t, running.Size(), info.Size())

	require.Error(t, Replace(path, 0o600, func(io.Writer) error { return io.ErrShortWrite }))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
	_, err = Install(filepath.Join(dir, "absent"))
	assert.ErrorContains(t, err, filepath.Join(dir, "absent")+" does not exist: mount the emptyDir there")
}
