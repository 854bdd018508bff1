package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/internal/wheel"
)

// installed is an agent with the Python package beside it, as its image has them, which has
// installed both elsewhere.
func installed(t *testing.T) string {
	t.Helper()
	image, dir := t.TempDir(), t.TempDir()
	require.NoError(t, testwait.Command(t, "agent", "install", image).Run())
	built, err := wheel.Build(os.DirFS("../.."), wheel.Runtime, "dev")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(image, "leoflow_runtime.whl"), built.Content, 0o600))
	said, err := testwait.Command(t, filepath.Join(image, "agent"), "install", "--python", dir).Output()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "agent")+"\n"+filepath.Join(dir, "leoflow_runtime.whl")+"\n", string(said))
	return filepath.Join(dir, "agent")
}

// finds prints what a program in Python finds.
const finds = `import json, os, leoflow_runtime as l
print(json.dumps([l.get_connection("warehouse").password, l.get_variable("region"), l.__file__, sorted(n for n in os.environ if "AIRFLOW" in n)]))`

func TestExecPython(t *testing.T) {
	testneed.Program(t, "python3")
	agent := installed(t)
	volume := newVolume(t, map[[2]string]string{{"connection", "warehouse"}: "postgres://u:p%40ss@h/db", {"variable", "region"}: strings.Repeat("x", 200_000)})
	for name, row := range map[string]struct{ flags, environment []string }{
		// The variable is too long for an environment, and nobody requires it to be in one.
		"with the environment": {[]string{"--python"}, []string{"AIRFLOW_CONN_WAREHOUSE"}},
		"with the backend": {[]string{"--python", "--airflow-backend"}, []string{
			"AIRFLOW__SECRETS__BACKEND", "AIRFLOW__SECRETS__BACKEND_KWARGS", "AIRFLOW__WORKERS__SECRETS_BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"exec", "--dir", volume}, row.flags...)
			command := testwait.Command(t, agent, append(args, "--", "python3", "-c", finds)...)
			command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
			said, err := command.Output()
			require.NoError(t, err)
			var found []any
			require.NoError(t, json.Unmarshal(said, &found))
			assert.Equal(t, "p@ss", found[0])
			assert.Len(t, found[1], 200_000)
			assert.Equal(t, filepath.Join(filepath.Dir(agent), "leoflow_runtime.whl", "leoflow_runtime", "__init__.py"), found[2])
			assert.Len(t, found[3], len(row.environment))
			for _, name := range row.environment {
				assert.Contains(t, found[3], name)
			}
		})
	}
}

func TestExecPythonWithoutThePackage(t *testing.T) {
	volume := newVolume(t, nil)
	for _, args := range [][]string{{"exec", "--dir", volume, "--python", "--", "true"}, {"install", "--python", t.TempDir()}} {
		said, err := testwait.Command(t, "agent", args...).CombinedOutput()
		require.Error(t, err)
		assert.Regexp(t, `leoflow_runtime\.whl is not there: the agent's image has it, and 'agent install --python DIRECTORY' of that image copies both\n$`, string(said))
	}
}
