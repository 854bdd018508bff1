package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/cli"
)

var made = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// newRelease is one whose programs are built.
func newRelease(t *testing.T) release {
	t.Helper()
	root := t.TempDir()
	r := release{
		checkout: checkout{root: root, commit: here, committed: made}, version: "0.1.0",
		parts: filepath.Join(root, "parts"), finished: filepath.Join(root, "finished"),
		streams: cli.Streams{Out: io.Discard, Err: io.Discard},
	}
	require.NoError(t, os.MkdirAll(r.programsDir(), 0o755))
	require.NoError(t, os.Mkdir(r.finished, 0o755))
	for name, content := range map[string]string{
		"LICENSE": "license", "README.md": "readme",
		"parts/programs/agent-linux-amd64": "program", "parts/programs/agent-linux-amd64.licenses": "licenses",
		"parts/agent-linux-amd64.tar": "image", "parts/agent-linux-amd64.cdx.json": "list",
		"parts/agent.oci.tar": "layout", "parts/digests.txt": "digests",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
	}
	return r
}

func TestProgramIsPackedWithWhatBelongsToIt(t *testing.T) {
	r := newRelease(t)
	require.NoError(t, r.packPrograms(t.Context()))
	files, err := readArchive(filepath.Join(r.finished, "leoflow-secrets-csi-agent_0.1.0_linux_amd64.tar.gz"))
	require.NoError(t, err)
	directory := "leoflow-secrets-csi-agent_0.1.0_linux_amd64/"
	assert.Equal(t, []packed{
		{directory + "LICENSE", 0o644, []byte("license")},
		{directory + "README.md", 0o644, []byte("readme")},
		{directory + "THIRD_PARTY_LICENSES", 0o644, []byte("licenses")},
		{directory + "agent", 0o755, []byte("program")},
	}, files)
}

// What the packing machine is like must not show: modes, times, umask.
func TestSameFilesMakeTheSameArchive(t *testing.T) {
	one, other := newRelease(t), newRelease(t)
	require.NoError(t, os.Chmod(filepath.Join(other.root, "LICENSE"), 0o444))
	require.NoError(t, os.Chtimes(filepath.Join(other.root, "README.md"), made, made))
	for _, r := range []release{one, other} {
		require.NoError(t, r.packPrograms(t.Context()))
		require.NoError(t, r.writeSums(t.Context()))
	}
	sums := read(t, filepath.Join(one.finished, sumsFile))
	assert.Equal(t, sums, read(t, filepath.Join(other.finished, sumsFile)))
	assert.Empty(t, differences(sums, sums))

	other.committed = made.Add(time.Second)
	require.NoError(t, os.Remove(filepath.Join(other.finished, sumsFile)))
	require.NoError(t, other.packPrograms(t.Context()))
	require.NoError(t, other.writeSums(t.Context()))
	assert.Equal(t, []string{"leoflow-secrets-csi-agent_0.1.0_linux_amd64.tar.gz"},
		differences(sums, read(t, filepath.Join(other.finished, sumsFile))))
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

func TestImagesAreNamedAfterTheVersion(t *testing.T) {
	r := newRelease(t)
	require.NoError(t, r.takeImages())
	for name, content := range map[string]string{
		"leoflow-secrets-csi-agent_0.1.0_linux_amd64.image.tar": "image",
		"leoflow-secrets-csi-agent_0.1.0_linux_amd64.cdx.json":  "list",
		"leoflow-secrets-csi-agent_0.1.0.oci.tar":               "layout",
		"leoflow-secrets-csi_0.1.0_image-digests.txt":           "digests",
	} {
		assert.Equal(t, content, read(t, filepath.Join(r.finished, name)))
	}
}

func TestSumsAreAsSha256sumReadsThem(t *testing.T) {
	r := newRelease(t)
	require.NoError(t, os.WriteFile(filepath.Join(r.finished, "b"), []byte("abc"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(r.finished, "a"), nil, 0o644))
	require.NoError(t, r.writeSums(t.Context()))
	assert.Equal(t, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n"+
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n", read(t, filepath.Join(r.finished, sumsFile)))
}

func TestRepackedArchiveTellsNothingOfItsMaking(t *testing.T) {
	directory := t.TempDir()
	var copies []string
	for name, mode := range map[string]int64{"one": 0o600, "other": 0o755} {
		from, to := filepath.Join(directory, name), filepath.Join(directory, name+".copy")
		require.NoError(t, writeArchive(from, made.Add(time.Duration(mode)*time.Hour), []packed{
			{"chart/Chart.yaml", mode, []byte("name: chart")}, {"chart/values.yaml", mode, nil},
		}))
		require.NoError(t, repack(from, to, made))
		copies = append(copies, read(t, to))
	}
	assert.Equal(t, copies[0], copies[1])
}
