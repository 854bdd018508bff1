package envshim

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

const localFilesystemBackend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"

// AddBackend adds the settings that make Airflow look entries up in the volume's files,
// which its LocalFilesystemBackend reads anew at every look-up. In workers [workers]
// secrets_backend replaces [secrets] backend, so both are set. A setting that is there
// already and differs, or would be hidden, is an error: only its owner can say which of
// the two to use.
func AddBackend(environ []string, dir string) ([]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("--airflow-backend: %w", err)
	}
	arguments, err := json.Marshal(map[string]string{
		"connections_file_path": filepath.Join(dir, layout.ConnectionsJSON),
		"variables_file_path":   filepath.Join(dir, layout.VariablesJSON),
	})
	if err != nil {
		return nil, fmt.Errorf("--airflow-backend: %w", err)
	}
	var faults []error
	result := environ
	for _, setting := range []struct{ name, value string }{
		{"AIRFLOW__SECRETS__BACKEND", localFilesystemBackend},
		{"AIRFLOW__SECRETS__BACKEND_KWARGS", string(arguments)},
		{"AIRFLOW__WORKERS__SECRETS_BACKEND", localFilesystemBackend},
		{"AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS", string(arguments)},
	} {
		isSet, err := lookUp(environ, setting.name, setting.value)
		faults = append(faults, err)
		if !isSet {
			result = append(result, setting.name+"="+setting.value)
		}
	}
	return result, errors.Join(faults...)
}

// lookUp tells whether a setting has the wanted value already. _CMD and _SECRET are the
// two other ways in which Airflow takes one, and from 3.2 on _KWARG__NAME sets one argument.
func lookUp(environ []string, name, wanted string) (isSet bool, err error) {
	for _, variable := range environ {
		switch set, value, _ := strings.Cut(variable, "="); {
		case set == name && value == wanted:
			isSet = true
		case set == name:
			return false, fmt.Errorf("--airflow-backend: %s is already set to something else: unset it, or do without --airflow-backend", set)
		case set == name+"_CMD", set == name+"_SECRET":
			return false, fmt.Errorf("--airflow-backend: %s is already set, and %s would hide it: unset it, or do without --airflow-backend", set, name)
		case strings.HasPrefix(set, strings.TrimSuffix(name, "S")+"__") && strings.HasSuffix(name, "_KWARGS"):
			return false, fmt.Errorf("--airflow-backend: %s is already set, and Airflow adds it to %s, which no other argument belongs into: unset it, or do without --airflow-backend", set, name)
		}
	}
	return isSet, nil
}
