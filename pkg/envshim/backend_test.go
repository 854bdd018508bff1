package envshim

import (
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
	environ, err := AddBackend([]string{"HOME=/"}, "/volume")
	require.NoError(t, err)
	assert.Equal(t, append([]string{"HOME=/"}, settings...), environ)

	environ, err = AddBackend(settings, "/volume/")
	require.NoError(t, err)
	assert.Equal(t, settings, environ, "what is right already stays, once")

	_, err = AddBackend([]string{
		"AIRFLOW__SECRETS__BACKEND=needle", "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS_CMD=needle", "AIRFLOW__WORKERS__SECRETS_BACKEND=",
	}, "/volume")
	assert.EqualError(t, err, `--airflow-backend: AIRFLOW__SECRETS__BACKEND is already set to something else: unset it, or do without --airflow-backend
--airflow-backend: AIRFLOW__WORKERS__SECRETS_BACKEND is already set to something else: unset it, or do without --airflow-backend
--airflow-backend: AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS_CMD is already set, and AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS would hide it: unset it, or do without --airflow-backend`)

	// Airflow 3.2 and later add it to the arguments, and the backend then takes none of them.
	for _, one := range []string{"AIRFLOW__SECRETS__BACKEND_KWARG__ROLE_ID", "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARG__URL"} {
		_, err := AddBackend([]string{one + "=needle"}, "/volume")
		require.ErrorContains(t, err, "--airflow-backend: "+one+" is already set, and Airflow adds it to ")
		assert.NotContains(t, err.Error(), "needle")
	}
}
