package envshim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Backend is where Airflow looks entries up before its environment.
type Backend int

const (
	// NoBackend leaves Airflow to its environment.
	NoBackend Backend = iota
	// FileBackend is Airflow's own. It reads the volume's files anew at every look-up, and
	// cannot say no: what is not in its file is asked elsewhere.
	FileBackend
	// VolumeBackend is leoflow_runtime's, whose refusals are final.
	VolumeBackend
)

const (
	localFilesystemBackend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
	volumeBackend          = "leoflow_runtime.backend.VolumeBackend"
)

// serves tells whether the backend has the entry, so that no environment is to have it.
func (b Backend) serves(e Entry) bool {
	switch {
	case e.isShaped:
	case b == FileBackend:
		return !e.Has(layout.NoticeExtraIsText)
	case b == VolumeBackend:
		return true
	}
	return false
}

// configuration is the backend's class, and its arguments as JSON.
func (b Backend) configuration(dir string) (class, arguments string, err error) {
	class, named := localFilesystemBackend, map[string]string{
		"connections_file_path": filepath.Join(dir, layout.ConnectionsJSON),
		"variables_file_path":   filepath.Join(dir, layout.VariablesJSON),
	}
	if b == VolumeBackend {
		class, named = volumeBackend, map[string]string{"dir": dir}
	}
	text, err := json.Marshal(named)
	return class, string(text), err
}

// AddBackend adds the settings that make Airflow look entries up in the volume. In workers [workers]
// secrets_backend replaces [secrets] backend, so both are set. A setting that is there
// already and differs, or would be hidden, is an error: only its owner can say which of
// the two to use.
func AddBackend(environ []string, backend Backend, dir string) ([]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("--airflow-backend: %w", err)
	}
	class, arguments, err := backend.configuration(dir)
	if err != nil {
		return nil, fmt.Errorf("--airflow-backend: %w", err)
	}
	var faults []error
	result := environ
	for _, setting := range []struct{ name, value string }{
		{"AIRFLOW__SECRETS__BACKEND", class},
		{"AIRFLOW__SECRETS__BACKEND_KWARGS", arguments},
		{"AIRFLOW__WORKERS__SECRETS_BACKEND", class},
		{"AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS", arguments},
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

// backendOptions are where airflow.cfg names a secrets backend, by section; "_kwargs" after it
// are its arguments. Each may also be given by a command or by a secret.
var backendOptions = []struct{ section, name string }{{"secrets", "backend"}, {"workers", "secrets_backend"}}

// HiddenBackends names the options of Airflow's configuration file that say something else than
// what AddBackend sets for a volume. The environment goes before the file, so they are hidden.
// A file that is not there or cannot be read has none, as for Airflow.
func HiddenBackends(environ []string, backend Backend, dir string) (path string, options []string) {
	path = configPath(environ)
	text, err := os.ReadFile(path)
	if err != nil {
		return path, nil
	}
	ours, _ := AddBackend(nil, backend, dir)
	wanted, written := settings(ours), readConfig(string(text))
	hidden := func(section, name string) (options []string) {
		option := "[" + section + "] " + name
		if value := written[option]; value != "" && value != wanted["AIRFLOW__"+strings.ToUpper(section+"__"+name)] {
			options = append(options, option)
		}
		for _, suffix := range []string{"_cmd", "_secret"} {
			if written[option+suffix] != "" {
				options = append(options, option+suffix)
			}
		}
		return options
	}
	for _, option := range backendOptions {
		found := hidden(option.section, option.name)
		if len(found) == 0 { // the same backend, with other files
			found = hidden(option.section, option.name+"_kwargs")
		}
		options = append(options, found...)
	}
	return path, options
}

// readConfig is what Python's configparser makes of a file, as far as it matters here: values by
// "[section] option". A value may go on in lines that are indented.
func readConfig(text string) map[string]string {
	values := map[string]string{}
	section, option := "", ""
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		isIndented := trimmed != strings.TrimRight(line, " \t\r\n")
		switch {
		case trimmed == "", trimmed[0] == '#', trimmed[0] == ';':
		case isIndented && option != "":
			values[option] = strings.TrimSpace(values[option] + "\n" + trimmed)
		case trimmed[0] == '[':
			section, _, _ = strings.Cut(trimmed[1:], "]")
			option = ""
		default:
			end := max(0, strings.IndexAny(trimmed, "=:"))
			option = "[" + section + "] " + strings.ToLower(strings.TrimSpace(trimmed[:end]))
			values[option] = strings.TrimSpace(trimmed[min(end+1, len(trimmed)):])
		}
	}
	return values
}

// configPath is where Airflow looks for its configuration. It expands what it is told.
func configPath(environ []string) string {
	set := settings(environ)
	expand := func(path string) string {
		if rest, isHome := strings.CutPrefix(path, "~/"); isHome {
			path = "$HOME/" + rest
		}
		return os.Expand(path, func(name string) string { return set[name] })
	}
	switch {
	case set["AIRFLOW_CONFIG"] != "":
		return expand(set["AIRFLOW_CONFIG"])
	case set["AIRFLOW_HOME"] != "":
		return filepath.Join(expand(set["AIRFLOW_HOME"]), "airflow.cfg")
	default:
		return filepath.Join(set["HOME"], "airflow", "airflow.cfg")
	}
}

// settings are an environment's variables by name.
func settings(environ []string) map[string]string {
	set := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		set[name] = value
	}
	return set
}
