package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// Core served nothing of files that 'core check' had found nothing wrong with.
func TestCheckKnowsWhatCoreHasRoomFor(t *testing.T) {
	dir := t.TempDir()
	var entries strings.Builder
	for i := range 26_215 {
		fmt.Fprintf(&entries, `,"c%d":"x://"`, i)
	}
	long, many, sound := filepath.Join(dir, "long.json"), filepath.Join(dir, "many.json"), filepath.Join(dir, "sound.json")
	for path, content := range map[string]string{
		long: `{"a": "x://` + strings.Repeat("x", 8<<20) + `"}`, many: `{"a": "x://"` + entries.String() + "}", sound: `{"a": "x://h"}`,
	} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	for _, row := range []struct{ file, memory, says string }{
		{sound, "", ""},
		{long, "", "long.json: is larger than 5120 KiB, which is what core reads with 128 MiB of memory"},
		{many, "", "many.json: has more than 26214 entries, which is what core has room for with 128 MiB of memory"},
		{many, "--memory=512Mi", ""},
		{many, "--memory=0", ""},
	} {
		for _, command := range []string{"check", "render"} {
			arguments := []string{command, "--connections=" + row.file}
			if row.memory != "" {
				arguments = append(arguments, row.memory)
			}
			var out, errs bytes.Buffer
			code := program().Execute(t.Context(), arguments, cli.Streams{Out: &out, Err: &errs})
			if row.says == "" {
				assert.Zero(t, code, "%v: %.200s%.200s", arguments, out.String(), errs.String())
				continue
			}
			assert.Equal(t, 1, code, arguments)
			assert.Contains(t, out.String()+errs.String(), row.says)
		}
	}
}

// Nobody who has the chart's own limit needs to say so.
func TestCheckKnowsTheChartsLimit(t *testing.T) {
	text, err := os.ReadFile("../../charts/leoflow-secrets-csi/values.yaml")
	require.NoError(t, err)
	var values struct {
		ReferenceCore struct {
			Resources struct {
				Limits struct{ Memory string }
			}
		} `yaml:"referenceCore"`
	}
	require.NoError(t, yaml.Unmarshal(text, &values))
	assert.Equal(t, chartMemory.String(), values.ReferenceCore.Resources.Limits.Memory)
}
