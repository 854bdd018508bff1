package envshim

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestFormats(t *testing.T) {
	entries := []Entry{variable("region", "no'rth $x `y` \\n\n\"z\""), variable("uri", "a://u:p%40@h/?q=<&>#")}
	write := func(format Format, entries []Entry) string {
		var out bytes.Buffer
		require.NoError(t, format.Write(&out, entries))
		return out.String()
	}
	assert.Equal(t, "AIRFLOW_VAR_URI=a://u:p%40@h/?q=<&>#\n", write(Plain, entries[1:]))
	assert.Equal(t, "AIRFLOW_VAR_URI='a://u:p%40@h/?q=<&>#'\n", write(Dotenv, entries[1:]))
	assert.Empty(t, write(Dotenv, nil))

	read := map[string]string{}
	require.NoError(t, json.Unmarshal([]byte(write(JSON, entries)), &read))
	assert.Equal(t, map[string]string{"AIRFLOW_VAR_REGION": entries[0].Value.Reveal(), "AIRFLOW_VAR_URI": entries[1].Value.Reveal()}, read)
	assert.JSONEq(t, "{}", write(JSON, nil))

	shell := testwait.Command(t, "sh", "-c", write(Export, entries)+`printf %s "$AIRFLOW_VAR_REGION"`)
	out, err := shell.Output()
	require.NoError(t, err)
	assert.Equal(t, entries[0].Value.Reveal(), string(out))
}

func TestFormatsRefuseWhatTheyCannotCarry(t *testing.T) {
	for _, row := range []struct {
		format  Format
		entry   Entry
		message string
	}{
		{Plain, variable("a", "needle\nneedle"), `variable "a": a value of several lines does not fit the format plain; use json`},
		{Dotenv, variable("a", "needle'"), `variable "a": dotenv readers disagree on a value with a quote, a carriage return, ${ or a doubled or final backslash; use json`},
		{Dotenv, variable("a", "needle${HOME}"), "dotenv readers disagree"},
		{Dotenv, variable("a", `needle\\`), "dotenv readers disagree"},
		{Dotenv, variable("a", `needle\`), "dotenv readers disagree"},
		{Export, variable("my-key", "needle"), `variable "my-key": no shell can set AIRFLOW_VAR_MY-KEY; use json, or 'agent exec'`},
		{JSON, variable("a", "needle\xff"), `variable "a": a value that is not UTF-8 does not fit the format json`},
		{JSON, variable("a", "needle\x00"), `variable "a": the value holds a NUL byte`},
		{"toml", variable("a", "needle"), `format "toml" is not known: plain, dotenv, json or export`},
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
	assert.ErrorContains(t, err, "replacing "+filepath.Join(dir, "absent/agent"))
}
