package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/layout/filename"
)

// TestMain puts this binary into PATH as "agent", so that scripts and tests start the
// real thing as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"agent": main, "child": child})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true})
}

// newVolume writes entries, by kind and id, as the driver lays them out.
func newVolume(t testing.TB, entries map[[2]string]string) string {
	t.Helper()
	dir := t.TempDir()
	manifest := layout.Manifest{Schema: layout.Schema, Generation: 1}
	for key, value := range entries {
		kind, id := key[0], key[1]
		file, env := layout.VariablesDir+"/"+filename.Of(id), "AIRFLOW_VAR_"+strings.ToUpper(id)
		if kind == "connection" {
			file, env = layout.ConnectionsDir+"/"+filename.Of(id), "AIRFLOW_CONN_"+strings.ToUpper(id)
		}
		manifest.Entries = append(manifest.Entries, layout.Entry{Kind: layout.Kind(kind), ID: id, State: layout.Delivered, Env: env, File: file})
		writeFile(t, filepath.Join(dir, "..1", file), []byte(value))
	}
	encoded, err := manifest.Encode()
	require.NoError(t, err)
	writeFile(t, filepath.Join(dir, "..1", layout.ManifestFile), encoded)
	require.NoError(t, os.Symlink("..1", filepath.Join(dir, layout.DataLink)))
	return dir
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// python prints its environment as a JSON object of hexadecimal names and values.
const python = `import json, os; print(json.dumps({n.hex(): v.hex() for n, v in os.environb.items()}))`

func TestPythonSeesEveryEntryByteForByte(t *testing.T) {
	testneed.Program(t, "python3")
	var every []byte
	for b := 1; b < 256; b++ {
		every = append(every, byte(b))
	}
	entries := map[[2]string]string{
		{"connection", "my-conn.a"}:   "postgresql://user:p%40ss@host/db?__extra__=%7B%7D",
		{"connection", "warehouse"}:   `{"conn_type": "google_cloud_platform", "extra": {"key": "a\\nb"}}`,
		{"connection", "sp ace/(!#)"}: " leading and trailing ",
		{"variable", "empty"}:         "",
		{"variable", "every-byte"}:    string(every),
		{"variable", "newline.s"}:     "\n\r\n",
		{"variable", "large"}:         strings.Repeat("x", 131072-len("AIRFLOW_VAR_LARGE=")-1),
	}
	volume := newVolume(t, entries)
	command := testwait.Command(t, "agent", "exec", "--dir", volume, "--", "python3", "-c", python)
	var warnings bytes.Buffer
	command.Stderr = &warnings
	out, err := command.Output()
	require.NoError(t, err, warnings.String())
	assert.Empty(t, warnings.String())

	var environ map[string]string
	require.NoError(t, json.Unmarshal(out, &environ))
	for key, value := range entries {
		name := map[string]string{"connection": "AIRFLOW_CONN_", "variable": "AIRFLOW_VAR_"}[key[0]] + strings.ToUpper(key[1])
		assert.Equal(t, hexadecimal(value), environ[hexadecimal(name)], name)
	}
}

func hexadecimal(text string) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, b := range []byte(text) {
		out.Write([]byte{digits[b>>4], digits[b&15]})
	}
	return out.String()
}

func TestExecLeavesNoAgentBetween(t *testing.T) {
	volume := newVolume(t, map[[2]string]string{{"variable", "region"}: "north"})
	command := testwait.Command(t, "agent", "exec", "--dir", volume, "--", "sh", "-c", `echo $$ "$@"; kill -TERM $$`, "sh", "a b", "", "--dir")
	out, err := command.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, "signal: terminated", exit.String(), "the signal is the program's own")
	words := strings.SplitN(strings.TrimSuffix(string(out), "\n"), " ", 2)
	require.Len(t, words, 2)
	assert.Equal(t, command.Process.Pid, atoi(t, words[0]), "the process is the program's own")
	assert.Equal(t, "a b  --dir", words[1], "the arguments are the program's own")
}

// inherits tells what a program inherits besides arguments and environment. The soft
// limit of files is lowered first, because the Go runtime raises its own. Of signals
// that are ignored, the Go runtime hands on only the two of nohup and of background jobs.
const inherits = `ulimit -S -n 64; exec "$@" sh -c 'grep -E "^(Sig(Blk|Ign|Cgt)|Umask|Groups|NoNewPrivs)" /proc/self/status; ulimit -a; ls /proc/self/fd'`

func TestTheProgramInheritsWhatItWouldWithoutTheAgent(t *testing.T) {
	volume := newVolume(t, nil)
	run := func(wrapper ...string) string {
		out, err := testwait.Command(t, "sh", append([]string{"-c", "trap '' HUP INT; umask 27; " + inherits, "sh"}, wrapper...)...).Output()
		require.NoError(t, err)
		return string(out)
	}
	bare := run("env")
	assert.Contains(t, bare, "Umask:\t0027")
	assert.Equal(t, bare, run("agent", "exec", "--dir", volume, "--"))
	assert.Equal(t, bare, run("agent", "exec", "--dir", volume, "--on-rotate=restart", "--"))
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	var number int
	require.NoError(t, json.Unmarshal([]byte(text), &number))
	return number
}

// TestNoCommandTellsAValue runs every command, well and badly, and searches what it
// prints. No format can carry what the volumes hold.
func TestNoCommandTellsAValue(t *testing.T) {
	const needle = "n33dle"
	good := newVolume(t, map[[2]string]string{{"connection", "a-b"}: needle, {"variable", "c"}: needle + "'\n"})
	bad := newVolume(t, map[[2]string]string{{"variable", "nul"}: needle + "\x00", {"variable", "x"}: needle, {"variable", "X"}: needle})
	large := newVolume(t, map[[2]string]string{{"variable", "large-one"}: strings.Repeat(needle+"'\n", 50_000)})
	for _, volume := range []string{good, bad, large, filepath.Join(good, "absent")} {
		for _, args := range [][]string{
			{"exec", "--", "true"}, {"exec", "--keep-existing", "--", "true"}, {"exec", "--", "absent"}, {"exec"},
			{"env"}, {"env", "--format=export"}, {"env", "--format=kubelet"}, {"env", "--format=none"},
			{"check"}, {"check", "--json"}, {"wait", "--timeout=1ms"},
		} {
			command := testwait.Command(t, "agent", append([]string{args[0], "--dir", volume}, args[1:]...)...)
			command.Env = append(os.Environ(), "AIRFLOW_VAR_C=other "+needle)
			out, err := command.CombinedOutput()
			var exit *exec.ExitError
			require.True(t, err == nil || errors.As(err, &exit))
			assert.False(t, bytes.Contains(out, []byte(needle)), args)
		}
	}
}

func BenchmarkExec(b *testing.B) {
	entries := map[[2]string]string{}
	for _, letter := range strings.Split("abcdefghij", "") {
		entries[[2]string{"connection", letter}] = "postgresql://user:" + strings.Repeat("x", 100) + "@host/db"
	}
	volume := newVolume(b, entries)
	agent := filepath.Join(b.TempDir(), "agent")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", agent, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	require.NoError(b, build.Run())
	b.Run("agent", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, exec.CommandContext(b.Context(), agent, "exec", "--dir", volume, "--", "/bin/true").Run())
		}
	})
	b.Run("floor", func(b *testing.B) { // the program alone
		for b.Loop() {
			require.NoError(b, exec.CommandContext(b.Context(), "/bin/true").Run())
		}
	})
}
