package envshim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAddPython(t *testing.T) {
	for name, row := range map[string]struct{ before, after []string }{
		"nothing is set":       {[]string{"A=1"}, []string{"PYTHONPATH=/l/x.whl", "LEOFLOW_DIR=/volume", "A=1"}},
		"others have packages": {[]string{"PYTHONPATH=/a:/b", "A=1"}, []string{"PYTHONPATH=/l/x.whl:/a:/b", "LEOFLOW_DIR=/volume", "A=1"}},
		// An empty part would be the working directory.
		"empty":          {[]string{"PYTHONPATH="}, []string{"PYTHONPATH=/l/x.whl", "LEOFLOW_DIR=/volume"}},
		"another volume": {[]string{"LEOFLOW_DIR=relative", "PYTHONPATHS=x"}, []string{"PYTHONPATH=/l/x.whl", "LEOFLOW_DIR=/volume", "PYTHONPATHS=x"}},
	} {
		t.Run(name, func(t *testing.T) {
			environ, err := AddPython(row.before, "/l/x.whl", "/volume/")
			require.NoError(t, err)
			assert.Equal(t, row.after, environ)
		})
	}
}

func TestNoPythonPackageBesideTheAgent(t *testing.T) {
	_, err := PythonPackage()
	require.ErrorContains(t, err, "leoflow_runtime.whl is not there: the agent's image has it, and 'agent install --python DIRECTORY' of that image copies both")
	_, err = InstallPython(t.TempDir())
	require.ErrorContains(t, err, "leoflow_runtime.whl is not there")
}
