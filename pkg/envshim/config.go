package envshim

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// backendOptions are where airflow.cfg names a secrets backend, by section. Each may also
// be given by a command or by a secret.
var backendOptions = map[string]string{"secrets": "backend", "workers": "secrets_backend"}

// HiddenBackends names the options of Airflow's configuration file that name another
// secrets backend than AddBackend does. The environment goes before the file, so they are
// hidden. A file that is not there or cannot be read names none, as for Airflow.
func HiddenBackends(environ []string) (path string, options []string) {
	path = configPath(environ)
	file, err := os.Open(path)
	if err != nil {
		return path, nil
	}
	defer func() { _ = file.Close() }()
	section := ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if name, isSection := strings.CutPrefix(line, "["); isSection {
			section, _, _ = strings.Cut(name, "]")
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		value = strings.TrimSpace(value)
		if isBackendOption(section, name) && value != "" && value != localFilesystemBackend {
			options = append(options, "["+section+"] "+name)
		}
	}
	return path, slices.Compact(options)
}

func isBackendOption(section, name string) bool {
	option, known := backendOptions[section]
	return known && slices.Contains([]string{option, option + "_cmd", option + "_secret"}, name)
}

// configPath is where Airflow looks for its configuration.
func configPath(environ []string) string {
	set := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		set[name] = value
	}
	switch {
	case set["AIRFLOW_CONFIG"] != "":
		return set["AIRFLOW_CONFIG"]
	case set["AIRFLOW_HOME"] != "":
		return filepath.Join(set["AIRFLOW_HOME"], "airflow.cfg")
	default:
		return filepath.Join(set["HOME"], "airflow", "airflow.cfg")
	}
}
