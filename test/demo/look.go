package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed files/connections.json
var connectionsFile string

//go:embed files/variables.json
var variablesFile string

//go:embed files/rules.yaml
var rulesFile string

// The child prints what it finds in its environment, in Python where there is Python.
const (
	pythonChild = `import os
for name in sorted(os.environ):
    if name.startswith("AIRFLOW_"):
        print(name, "=", os.environ[name])`
	shellChild = `env | grep ^AIRFLOW_ | sort`
)

func interpreter() string {
	if _, err := exec.LookPath("python3"); err == nil {
		return "python3"
	}
	return "sh"
}

// child runs the agent before a child, as a container would, and returns what it says.
func (s *story) child(ctx context.Context) (string, error) {
	program := map[string]string{"python3": pythonChild, "sh": shellChild}[interpreter()]
	command := exec.CommandContext(ctx, filepath.Join(s.bin, "agent"), "exec",
		"--dir", s.Kubelet.Target(s.pod), "--", interpreter(), "-c", program)
	var errs bytes.Buffer
	command.Stderr = &errs
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("running the child: %w: %s", err, errs.String())
	}
	return string(out), nil
}

// mountOptions are those of the mount at path, as the kernel tells them.
func mountOptions(path string) string {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 9 && fields[4] == path {
			return fields[5] + "; " + fields[len(fields)-1]
		}
	}
	return "none"
}

func commandLinesHold(needle string) (bool, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return false, err
	}
	for _, path := range paths {
		// A process may end while we look.
		if content, err := os.ReadFile(path); err == nil && bytes.Contains(content, []byte(needle)) {
			return true, nil
		}
	}
	return false, nil
}

// diskHolds searches all files below dir, but for those named.
func diskHolds(dir, needle string, except ...string) (found bool, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		left := slices.Contains(except, path)
		switch {
		case err != nil:
			return err
		case left && entry.IsDir():
			return filepath.SkipDir
		case left, !entry.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		found = found || bytes.Contains(content, []byte(needle))
		return err
	})
	return found, err
}
