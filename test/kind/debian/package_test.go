package debian

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInstallAsksAptForWhatIsMissing(t *testing.T) {
	record := fakeApt(t, "exit 0")
	var progress bytes.Buffer
	require.NoError(t, Install(t.Context(), []string{"runc", "iptables"}, &progress))
	assert.Equal(t, "installing runc iptables\n", progress.String())
	calls, err := os.ReadFile(record)
	require.NoError(t, err)
	assert.Equal(t, "-oDPkg::Lock::Timeout=300 update -qq\n"+
		"-oDPkg::Lock::Timeout=300 install -qq --no-install-recommends runc iptables\n", string(calls))
}

func TestInstallAsksForNothingIfNothingIsMissing(t *testing.T) {
	record := fakeApt(t, "exit 0")
	require.NoError(t, Install(t.Context(), nil, nil))
	assert.NoFileExists(t, record)
}

func TestInstallTellsWhatAptSaid(t *testing.T) {
	fakeApt(t, "echo 'no such package'; exit 100")
	err := Install(t.Context(), []string{"runc"}, &bytes.Buffer{})
	assert.EqualError(t, err, "installing runc: exit status 100: no such package\n")
}

// fakeApt is first in PATH, records its calls in the file returned, and goes on as told.
func fakeApt(t *testing.T, then string) (record string) {
	t.Helper()
	directory := t.TempDir()
	record = filepath.Join(directory, "calls")
	script := "#!/bin/sh\necho \"$@\" >>" + record + "\n" + then + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(directory, "apt-get"), []byte(script), 0o700))
	t.Setenv("PATH", directory)
	return record
}
