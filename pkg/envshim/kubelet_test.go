package envshim

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// asKubelet tells KEP-3721's grammar again, for one key, in the little that the tests need: it
// takes no comment and no blank line, since none is written. test/kind/suite asks a real kubelet.
func asKubelet(file []byte, key string) (value string, found bool) {
	lines := bufio.NewScanner(bytes.NewReader(file))
	for lines.Scan() {
		name, rest, _ := strings.Cut(strings.TrimLeft(lines.Text(), " \t"), "=")
		rest, quoted := strings.CutPrefix(rest, "'")
		if !quoted || name != strings.TrimRight(name, " \t") {
			return "", false
		}
		var text strings.Builder
		for {
			part, after, closed := strings.Cut(rest, "'")
			text.WriteString(part)
			switch {
			case closed && after != "":
				return "", false
			case closed && name == key:
				return text.String(), text.Len() > 0
			}
			if closed {
				break
			}
			text.WriteByte('\n')
			if !lines.Scan() {
				return "", false
			}
			rest = lines.Text()
		}
	}
	return "", false
}

func TestKubeletReadsEveryValue(t *testing.T) {
	entries := slices.DeleteFunc(hostile(), func(e Entry) bool {
		return strings.ContainsRune(e.Value.Reveal(), '\'') || strings.Contains(e.Value.Reveal(), "\r\n") || e.Value.Len() == 0
	})
	require.Greater(t, len(entries), 30)
	entries = append(entries,
		variable("my-key.a b", ` # spaces, $HOME $(X) "q" \\n `+"`y`, é, tabs\t"),
		variable("lines", "\n\n#x\n  y\n\r"),
		variable("long", strings.Repeat("x", longestLine-len("AIRFLOW_VAR_LONG=''"))),
		variable("longer", strings.Repeat(strings.Repeat("x", 60_000)+"\n", 2)),
		variable("end", "after all of them"),
	)
	file := []byte(write(t, Kubelet, entries))
	for _, entry := range entries {
		value, found := asKubelet(file, entry.Env)
		assert.True(t, found, entry.Env)
		assert.Equal(t, entry.Value.Reveal(), value, entry.Env)
	}
	assert.Empty(t, write(t, Kubelet, nil))
}

func TestKubeletsFileRefusesByNameWhatItCannotCarry(t *testing.T) {
	long := strings.Repeat("needle", 12_000)
	for _, row := range []struct {
		entry   Entry
		message string
	}{
		{variable("a", "needle'"), `variable "a": the value holds a single quote, which ends it in kubelet's file; use 'agent exec'`},
		{variable("a", "needle\r\nneedle"), `variable "a": the value holds a CR before an LF, and kubelet drops it; use 'agent exec'`},
		{variable("a", "needle\xff"), `variable "a": the value is not UTF-8, and the container runtime's JSON cannot hold it; use 'agent exec'`},
		{variable("a", "needle\x00"), `variable "a": the value holds a NUL byte, `},
		{variable("a", ""), `variable "a": the value is empty, which kubelet takes for a key that is not there: add --omit-empty, and optional: true to its fileKeyRef`},
		{variable("a", "x\n"+long), `variable "a": a line of the value takes 72001 bytes with name and quotes, and kubelet reads 65535; use 'agent exec'`},
		{variable("a", long[:longestLine-len("AIRFLOW_VAR_A=''")+1]), `variable "a": a line of the value takes 65536 bytes with name and quotes, and kubelet reads 65535; `},
		{variable("a", strings.Repeat("needle\n", 20_000)), `variable "a": AIRFLOW_VAR_A takes 140015 bytes with its name, and the kernel accepts 131072 in one variable: read it from the volume`},
		{variable("é", "needle"), `variable "é": kubelet knows no variable AIRFLOW_VAR_É: a name is of printable ASCII and ends with no space; use 'agent exec'`},
		{variable("a ", "needle"), `variable "a ": kubelet knows no variable AIRFLOW_VAR_A : `},
		{variable("a\nb", "needle"), `variable "a\nb": kubelet knows no variable "AIRFLOW_VAR_A\nB": `},
	} {
		var out bytes.Buffer
		err := Kubelet.Write(&out, []Entry{variable("good", "good"), row.entry})
		require.ErrorContains(t, err, row.message)
		assert.NotContains(t, err.Error(), "needle")
		assert.Empty(t, out.String())
	}
	assert.Equal(t, []Entry{variable("b", "x")}, WithoutEmpty([]Entry{variable("a", ""), variable("b", "x")}))
}

// FuzzKubelet: what is not refused arrives byte for byte, whatever stands before it.
func FuzzKubelet(f *testing.F) {
	for _, entry := range hostile() {
		f.Add(entry.ID, entry.Value.Reveal())
	}
	f.Add("a b=c", "x\n'y'='z")
	f.Fuzz(func(t *testing.T, id, value string) {
		line := layout.Entry{Kind: layout.Variable, ID: id, State: layout.Delivered, Env: "AIRFLOW_VAR_" + strings.ToUpper(id)}
		entry := Entry{Entry: line, Value: secret.New(value)}
		after := variable("zz-after", "after")
		if Kubelet.Write(io.Discard, []Entry{entry, after}) != nil {
			return
		}
		file := []byte(write(t, Kubelet, []Entry{entry, after}))
		for _, want := range []Entry{entry, after} {
			got, found := asKubelet(file, want.Env)
			require.True(t, found)
			require.Equal(t, want.Value.Reveal(), got)
		}
	})
}
