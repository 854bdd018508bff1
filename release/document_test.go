package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var fileOfARelease = regexp.MustCompile(`leoflow-secrets-csi[a-z-]*[_-]0\.1\.0[\w.-]*\w`)

// What docs/releasing.md does with files it does with files that are there.
func TestDocumentNamesFilesOfARelease(t *testing.T) {
	r := newRelease(t)
	for _, name := range []string{"agent", "core", "driver"} {
		for _, platform := range []string{"linux-amd64", "linux-arm64"} {
			for _, part := range []string{"programs/" + name + "-" + platform, "programs/" + name + "-" + platform + ".licenses",
				name + "-" + platform + ".tar", name + "-" + platform + ".cdx.json", name + ".oci.tar"} {
				require.NoError(t, os.WriteFile(filepath.Join(r.parts, part), []byte(part), 0o644))
			}
		}
	}
	require.NoError(t, r.packPrograms(t.Context()))
	require.NoError(t, r.takeImages())
	require.NoError(t, writeArchive(filepath.Join(r.finished, r.chartFile()), made, nil))
	require.NoError(t, r.writeSums(t.Context()))

	names := fileOfARelease.FindAllString(read(t, filepath.Join("..", "docs", "releasing.md")), -1)
	assert.NotEmpty(t, names)
	for _, name := range names {
		assert.FileExists(t, filepath.Join(r.finished, name))
	}
	command := exec.CommandContext(t.Context(), "sha256sum", "--check", "--ignore-missing", sumsFile)
	command.Dir = r.finished
	output, err := command.CombinedOutput()
	assert.NoError(t, err, string(output))
	entries, err := os.ReadDir(r.finished)
	require.NoError(t, err)
	assert.Len(t, entries, 24, "archives, images, lists of six programs; three layouts; digests, chart, checksums")
}
