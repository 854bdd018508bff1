// Package python runs the tests of the Python packages that need nothing but a Python.
package python

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestUnits(t *testing.T) {
	testneed.Program(t, "python3")
	command := testwait.Command(t, "python3", "-B", "-W", "error::ResourceWarning", "-m", "unittest", "discover", "--start-directory", "tests")
	said, err := command.CombinedOutput()
	require.NoError(t, err, string(said))
	assert.Regexp(t, `(?m)^Ran [4-9]\d tests in .*\n\nOK`, string(said))
}

// TestImportIsCheap holds what the package imports by itself: json is the floor.
func TestImportIsCheap(t *testing.T) {
	testneed.Program(t, "python3")
	imports := func(statement string) map[string]bool {
		said, err := exec.CommandContext(t.Context(), "python3", "-B", "-c", statement+"; import sys; print(' '.join(sys.modules))").Output()
		require.NoError(t, err)
		found := map[string]bool{}
		for _, name := range strings.Fields(string(said)) {
			found[name] = true
		}
		return found
	}
	floor := imports("from __future__ import annotations; import json")
	for name := range imports("import leoflow_runtime") {
		assert.True(t, floor[name] || strings.HasPrefix(name, "leoflow_runtime"), "leoflow_runtime imports %s", name)
	}
}
