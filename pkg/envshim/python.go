package envshim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// pythonPackage is the wheel of leoflow_runtime beside the agent. Python imports from it as it is.
const pythonPackage = "leoflow_runtime.whl"

// PythonPackage is the wheel that stands beside the running agent.
func PythonPackage() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the agent itself: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), pythonPackage)
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s is not there: the agent's image has it, and 'agent install --python DIRECTORY' of that image copies both", path)
	case err != nil:
		return "", fmt.Errorf("looking for the Python package: %w", err)
	}
	return path, nil
}

// InstallPython copies the package that stands beside the running agent into dir, and returns the
// copy's path.
func InstallPython(dir string) (string, error) {
	from, err := PythonPackage()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, pythonPackage)
	return path, Replace(path, 0o644, func(out io.Writer) error {
		in, err := os.Open(from)
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		_, err = io.Copy(out, in)
		return err
	})
}

// AddPython lets every Python find the package, before all else that PYTHONPATH has, and the package
// the volume at dir.
func AddPython(environ []string, path, dir string) ([]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("--python: %w", err)
	}
	added := []string{"PYTHONPATH=" + path, "LEOFLOW_DIR=" + dir}
	for _, variable := range environ {
		switch name, value, _ := strings.Cut(variable, "="); {
		case name == "PYTHONPATH" && value != "":
			added[0] = "PYTHONPATH=" + path + string(os.PathListSeparator) + value
		case name != "PYTHONPATH" && name != "LEOFLOW_DIR":
			added = append(added, variable)
		}
	}
	return added, nil
}
