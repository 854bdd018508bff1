package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/test/venv"
)

// before is when the packages of today were released.
const before = "2026-11-20"

// series are the Pythons that the package is for, the newest first.
var series = []string{"3.13", "3.12", "3.11", "3.10", "3.9"}

// interpreters finds a Python of each series, on the path and where pyenv and GitHub's runners keep them.
func interpreters(ctx context.Context) map[string]string {
	found := map[string]string{}
	home, _ := os.UserHomeDir()
	for _, each := range series {
		kept, _ := filepath.Glob(filepath.Join(home, ".pyenv", "versions", each+".*", "bin", "python3"))
		cached, _ := filepath.Glob("/opt/hostedtoolcache/Python/" + each + ".*/x64/bin/python3")
		for _, path := range slices.Concat([]string{"python" + each, "python3"}, kept, cached) {
			said, err := exec.CommandContext(ctx, path, "-c", "import sys; print(sys.executable, '%d.%d' % sys.version_info[:2])").Output()
			if executable, version, _ := strings.Cut(strings.TrimSpace(string(said)), " "); err == nil && version == each {
				found[each] = executable
				break
			}
		}
	}
	return found
}

// types has type checkers and a linter look at the packages.
func (j *judge) types(ctx context.Context) error {
	python := interpreters(ctx)
	newest := pick(python, series...)
	if newest == "" {
		return errors.New("there is no Python from 3.9 to 3.13")
	}
	recipe := venv.Recipe{Name: "lint", Python: python[newest], Before: before, Packages: []string{"mypy==2.4.1", "pyright==1.1.414", "ruff==0.17.6", "pytest==9.2.0"}}
	dir, err := recipe.Make(ctx, j.cache, func(line string) { say("%s", line) })
	if err != nil {
		return err
	}
	for _, line := range []string{"mypy", "pyright", "ruff check"} {
		words := strings.Fields(line)
		command := exec.CommandContext(ctx, filepath.Join(dir, "bin", words[0]), words[1:]...)
		command.Dir = filepath.Join(j.root, "python")
		command.Env = append(os.Environ(), "MYPY_CACHE_DIR="+j.dir, "RUFF_NO_CACHE=true", "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
		if said, err := command.CombinedOutput(); err != nil {
			j.fail("%s: %v\n%s", line, err, said)
		}
	}
	return j.tryFixture(ctx, dir)
}

// fixture is a test of a user's, who has the plugin by installing the package.
const fixture = `from leoflow_runtime import Refused, get_connection
import pytest


def test_load(leoflow_volume):
    leoflow_volume.connection("warehouse", "postgres://etl:secret@localhost/etl")
    leoflow_volume.refuse("connection", "payroll")
    assert get_connection("warehouse").login == "etl"
    with pytest.raises(Refused):
        get_connection("payroll")
`

// tryFixture runs such a test where the package's wheel is installed.
func (j *judge) tryFixture(ctx context.Context, dir string) error {
	if err := j.installWheels(ctx, dir); err != nil {
		return err
	}
	path := filepath.Join(j.dir, "test_load.py")
	if err := os.WriteFile(path, []byte(fixture), 0o600); err != nil {
		return err
	}
	said, err := exec.CommandContext(ctx, filepath.Join(dir, "bin", "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", path).CombinedOutput()
	if err != nil || !strings.Contains(string(said), "1 passed") {
		j.fail("the fixture for pytest: %v\n%s", err, said)
	}
	return nil
}

var counted = regexp.MustCompile(`(?m)^Ran (\d+) tests`)

// units runs the unit tests in every Python that is there, and uses the wheels there without unpacking them.
func (j *judge) units(ctx context.Context) error {
	found := interpreters(ctx)
	wheels, err := j.wheels()
	if err != nil {
		return err
	}
	for _, path := range slices.Clone(wheels) {
		wheels = append(wheels, filepath.Join(path, "leoflow_airflow_standin", "_compat"))
	}
	for _, version := range series {
		python, there := found[version]
		if !there {
			say("Python %s: not on this machine", version)
			continue
		}
		command := exec.CommandContext(ctx, python, "-B", "-m", "unittest", "discover", "--start-directory", "tests")
		command.Dir = filepath.Join(j.root, "python")
		said, err := command.CombinedOutput()
		if err != nil || !counted.Match(said) {
			j.fail("Python %s: %v\n%s", version, err, said)
			continue
		}
		say("Python %s: %s unit tests", version, counted.FindSubmatch(said)[1])
		args := []string{"-I", "-W", "error", filepath.Join(j.root, "test", "python", "python", "isolated.py")}
		if said, err := exec.CommandContext(ctx, python, append(args, wheels...)...).CombinedOutput(); err != nil {
			j.fail("Python %s, isolated, from the wheels: %v\n%s", version, err, said)
		}
	}
	return nil
}

// The budgets of a start without Airflow, in milliseconds of a processor.
const (
	importBudget = 30.0 // ms
	firstBudget  = 40.0 // ms, with the start of the process
	memoryBudget = 15.0 // MB
)

// cost measures what the package adds to a program's start.
func (j *judge) cost(ctx context.Context) error {
	for version, python := range interpreters(ctx) {
		said, err := exec.CommandContext(ctx, python, filepath.Join(j.root, "test", "python", "python", "cost.py"), filepath.Join(j.root, "python")).Output()
		if err != nil {
			return fmt.Errorf("measuring Python %s: %w", version, err)
		}
		var found struct{ Import, First, Memory, Bare float64 }
		if err := json.Unmarshal(said, &found); err != nil {
			return err
		}
		say("Python %s: import %.1f ms; a process with its first connection of 100: %.1f ms beside %.1f bare; %.1f MB", version, found.Import, found.First, found.Bare, found.Memory)
		if found.Import > importBudget || found.First > firstBudget || found.Memory > memoryBudget {
			j.fail("Python %s: import %.1f ms, first connection %.1f ms, %.1f MB: the budgets are %v, %v and %v", version,
				found.Import, found.First, found.Memory, importBudget, firstBudget, memoryBudget)
		}
	}
	return nil
}

// pick returns the first of wanted that there is.
func pick(python map[string]string, wanted ...string) string {
	at := slices.IndexFunc(wanted, func(version string) bool { return python[version] != "" })
	if at < 0 {
		return ""
	}
	return wanted[at]
}
