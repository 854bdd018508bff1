package envshim

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAddBackend(t *testing.T) {
	const (
		backend   = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
		arguments = `{"connections_file_path":"/volume/airflow/connections.json","variables_file_path":"/volume/airflow/variables.json"}`
	)
	settings := []string{
		"AIRFLOW__SECRETS__BACKEND=" + backend, "AIRFLOW__SECRETS__BACKEND_KWARGS=" + arguments,
		"AIRFLOW__WORKERS__SECRETS_BACKEND=" + backend, "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS=" + arguments,
	}
	environ, err := AddBackend([]string{"HOME=/"}, FileBackend, "/volume")
	require.NoError(t, err)
	assert.Equal(t, append([]string{"HOME=/"}, settings...), environ)

	environ, err = AddBackend(settings, FileBackend, "/volume/")
	require.NoError(t, err)
	assert.Equal(t, settings, environ, "what is right already stays, once")

	_, err = AddBackend([]string{
		"AIRFLOW__SECRETS__BACKEND=needle", "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS_CMD=needle", "AIRFLOW__WORKERS__SECRETS_BACKEND=",
	}, FileBackend, "/volume")
	assert.EqualError(t, err, `--airflow-backend: AIRFLOW__SECRETS__BACKEND is already set to something else: unset it, or do without --airflow-backend
--airflow-backend: AIRFLOW__WORKERS__SECRETS_BACKEND is already set to something else: unset it, or do without --airflow-backend
--airflow-backend: AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS_CMD is already set, and AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS would hide it: unset it, or do without --airflow-backend`)

	// Airflow 3.2 and later add it to the arguments, and the backend then takes none of them.
	for _, one := range []string{"AIRFLOW__SECRETS__BACKEND_KWARG__ROLE_ID", "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARG__URL"} {
		_, err := AddBackend([]string{one + "=needle"}, FileBackend, "/volume")
		require.ErrorContains(t, err, "--airflow-backend: "+one+" is already set, and Airflow adds it to ")
		assert.NotContains(t, err.Error(), "needle")
	}
}

func TestAddVolumeBackend(t *testing.T) {
	environ, err := AddBackend(nil, VolumeBackend, "/volume/")
	require.NoError(t, err)
	assert.Equal(t, []string{
		"AIRFLOW__SECRETS__BACKEND=leoflow_runtime.backend.VolumeBackend", `AIRFLOW__SECRETS__BACKEND_KWARGS={"dir":"/volume"}`,
		"AIRFLOW__WORKERS__SECRETS_BACKEND=leoflow_runtime.backend.VolumeBackend", `AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS={"dir":"/volume"}`,
	}, environ)
}

// TestAirflowCfgThatNamesAnotherBackend has each file read as Airflow's configparser reads it.
func TestAirflowCfgThatNamesAnotherBackend(t *testing.T) {
	ours := "backend = " + localFilesystemBackend + "\n" +
		`backend_kwargs = {"connections_file_path":"/volume/airflow/connections.json","variables_file_path":"/volume/airflow/variables.json"}` + "\n"
	for _, row := range []struct {
		name, file string
		hidden     []string
	}{
		{"none", "[core]\nexecutor = LocalExecutor\n[secrets]\nbackend =\nbackend_kwargs =\n", nil},
		{"a comment", "[secrets]\n# backend = x.Y\n; backend = x.Y\n", nil},
		{"another section", "[logging]\nbackend = x.Y\n[secrets]\n", nil},
		{"another one", "[secrets]\nbackend = x.Y\n", []string{"[secrets] backend"}},
		{"with a colon, in capitals", "[secrets]\nBackend: x.Y\n", []string{"[secrets] backend"}},
		{"in the next line", "[secrets]\nbackend =\n    x.Y\n", []string{"[secrets] backend"}},
		{"of workers", "[workers]\nsecrets_backend = x.Y\nsecrets_backend_kwargs = {}\n", []string{"[workers] secrets_backend"}},
		{"by a command", "[secrets]\nbackend_cmd = /x\n", []string{"[secrets] backend_cmd"}},
		{"the same with arguments by a secret", "[secrets]\nbackend = " + localFilesystemBackend + "\nbackend_kwargs_secret = y\n", []string{"[secrets] backend_kwargs_secret"}},
		{"the same with other files", "[secrets]\nbackend = " + localFilesystemBackend + "\nbackend_kwargs = {\"connections_file_path\": \"/mine.json\"}\n", []string{"[secrets] backend_kwargs"}},
		{"the same", "[secrets]\n" + ours, nil},
		{"a line that says nothing", "nothing\n=\n[\n[secrets\n", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			home := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(home, "airflow.cfg"), []byte(row.file), 0o600))
			path, hidden := HiddenBackends([]string{"AIRFLOW_HOME=" + home}, FileBackend, "/volume")
			assert.Equal(t, filepath.Join(home, "airflow.cfg"), path)
			assert.Equal(t, row.hidden, hidden)
		})
	}
	_, hidden := HiddenBackends([]string{"HOME=" + t.TempDir()}, FileBackend, "/volume")
	assert.Empty(t, hidden, "no file")
}

func TestWhereAirflowLooksForItsConfiguration(t *testing.T) {
	for want, environ := range map[string][]string{
		"/h/airflow/airflow.cfg": {"HOME=/h"},
		"/a/airflow.cfg":         {"HOME=/h", "AIRFLOW_HOME=/a"},
		"/h/a/airflow.cfg":       {"HOME=/h", "AIRFLOW_HOME=~/a"},
		"/r/a/airflow.cfg":       {"HOME=/h", "ROOT=/r", "AIRFLOW_HOME=${ROOT}/a"},
		"/c.cfg":                 {"HOME=/h", "AIRFLOW_HOME=/a", "AIRFLOW_CONFIG=/c.cfg"},
	} {
		assert.Equal(t, want, configPath(environ))
	}
}
