package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// longVolume has a variable that no environment can carry, and one that any can.
func longVolume(t *testing.T, required bool) string {
	t.Helper()
	dir := newVolume(t, map[[2]string]string{{"variable", "big"}: strings.Repeat("x", 140_000), {"variable", "region"}: "north"})
	manifest := filepath.Join(dir, "..1", layout.ManifestFile)
	text, err := os.ReadFile(manifest)
	require.NoError(t, err)
	read, err := layout.ParseManifest(text)
	require.NoError(t, err)
	for i, entry := range read.Entries {
		if entry.ID == "big" {
			read.Entries[i].Required = required
			read.Entries[i].Notices = []layout.Notice{{Code: layout.NoticeTooLong}}
		}
	}
	encoded, err := read.Encode()
	require.NoError(t, err)
	writeFile(t, manifest, encoded)
	return dir
}

func TestATooLongValueStopsWhoNeedsItInTheEnvironment(t *testing.T) {
	for name, row := range map[string]struct {
		required     bool
		args         []string
		code         int
		says, prints string
	}{
		"asked for by name":           {true, nil, 126, "AIRFLOW_VAR_BIG takes 140017 bytes with its name, and the kernel accepts 131072 in one variable", ""},
		"by name, and with a backend": {true, []string{"--airflow-backend"}, 0, "", ""},
		"by a star":                   {false, nil, 0, `agent: warning: variable "big" is too long for an environment variable and is left out: read it from the volume, or use --airflow-backend`, "north"},
		"by a star, and supervised":   {false, []string{"--on-rotate=restart"}, 0, `variable "big" is too long`, "north"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(append([]string{"exec", "--dir=" + longVolume(t, row.required)}, row.args...), "--", "sh", "-c", "echo $AIRFLOW_VAR_REGION")
			command := exec.CommandContext(t.Context(), "agent", args...)
			var says strings.Builder
			command.Stderr = &says
			prints, err := command.Output()
			if row.code == 0 {
				require.NoError(t, err, says.String())
			}
			assert.Equal(t, row.code, command.ProcessState.ExitCode())
			assert.Contains(t, says.String(), row.says)
			assert.Equal(t, row.prints, strings.TrimSpace(string(prints)))
		})
	}
}
