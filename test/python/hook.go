package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/wheel"
	"github.com/leoflow/secrets-csi/test/venv"
)

// age is a generation of provider packages, and the Pythons that it is for, of which the first that are
// there judge it.
type age struct {
	name, before string
	pythons      []string
	providers    map[string]string
}

// ages have the newest first, which every CI run judges by. The packages of the two others have no
// builds for the newest Python.
var ages = []age{
	{"new", before, []string{"3.13", "3.11", "3.12"}, map[string]string{
		"google": "22.8.0", "amazon": "9.39.0", "microsoft-azure": "15.2.1", "postgres": "7.1.1", "http": "6.3.0", "redis": "4.7.1", "mysql": "6.7.1", "sqlite": "4.3.4"}},
	{"mid", "2025-07-15", []string{"3.12", "3.11"}, map[string]string{
		"google": "16.1.0", "amazon": "9.9.0", "microsoft-azure": "12.5.0", "postgres": "6.2.1", "http": "5.3.1", "redis": "4.1.1", "mysql": "6.3.1", "sqlite": "4.1.1"}},
	{"old", "2025-03-01", []string{"3.12", "3.11"}, map[string]string{
		"google": "10.20.0", "amazon": "8.25.0", "microsoft-azure": "10.1.2", "postgres": "5.11.2", "http": "4.12.0", "redis": "3.7.1", "mysql": "5.6.2", "sqlite": "3.8.1"}},
}

// checks are what hooks.py is to tell of.
var checks = []string{"gcs", "s3", "wasb", "postgres", "mysql", "sqlite", "http", "redis", "references", "denied"}

// packages are the providers without Airflow, and what Airflow used to bring.
func (a age) packages() []string {
	list := []string{"jinja2", "deprecated", "methodtools", "python-slugify", "tenacity", "packaging"}
	for name, version := range a.providers {
		list = append(list, "apache-airflow-providers-"+name+"=="+version)
	}
	slices.Sort(list)
	return list
}

// notInstalled are Airflow, and a client of MySQL that takes headers to build.
var notInstalled = []string{"apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk", "mysqlclient", "aiomysql"}

// hooks has the hooks of every age work at real servers, and then the examples.
func (j *judge) hooks(ctx context.Context) (err error) {
	s, err := j.startServers(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := j.examples(ctx, s); err != nil {
		return fmt.Errorf("examples: %w", err)
	}
	python := interpreters(ctx)
	for _, a := range ages {
		there := slices.DeleteFunc(slices.Clone(a.pythons), func(version string) bool { return python[version] == "" })
		wanted := 1
		if j.all {
			wanted = 2
		}
		if len(there) < wanted {
			j.fail("providers of age %s want %d of Python %s, and there are %d", a.name, wanted, strings.Join(a.pythons, ", "), len(there))
			continue
		}
		for _, version := range there[:wanted] {
			if err := j.askHooks(ctx, s, a, version, python[version]); err != nil {
				return fmt.Errorf("providers of age %s, Python %s: %w", a.name, version, err)
			}
		}
		if !j.all {
			break
		}
	}
	return nil
}

func (j *judge) askHooks(ctx context.Context, s *servers, a age, version, python string) error {
	recipe := venv.Recipe{Name: "hooks-" + a.name + "-" + version, Python: python, Before: a.before, Packages: a.packages(), Without: notInstalled}
	dir, err := recipe.Make(ctx, j.cache, func(line string) { say("%s", line) })
	if err != nil {
		return err
	}
	// The packages of this checkout go in anew each time, and by the file that a user would install.
	if err := j.installWheels(ctx, dir); err != nil {
		return err
	}
	said, logged, err := s.ask(ctx, dir, []string{"CELL=" + a.name + version[2:]}, "hooks.py")
	if err != nil {
		return err
	}
	j.judgeHooks(a.name+", Python "+version, said, logged)
	return nil
}

// ask runs a script that knows where the servers are.
func (s *servers) ask(ctx context.Context, dir string, environ []string, script string, args ...string) (said, logged []byte, err error) {
	args = append([]string{filepath.Join(s.judge.root, "test", "python", "python", script)}, args...)
	command := exec.CommandContext(ctx, filepath.Join(dir, "bin", "python"), args...)
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.judge.dir, "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", "AZURITE_KEY=" + s.azurite,
		"STORAGE_EMULATOR_HOST=http://" + s.addresses["GCS"], "AWS_EC2_METADATA_DISABLED=true", "NO_GCE_CHECK=true"}, environ...)
	for name, address := range s.addresses {
		command.Env = append(command.Env, name+"="+address)
	}
	var out bytes.Buffer
	command.Stderr = &out
	if said, err = command.Output(); err != nil {
		return nil, nil, fmt.Errorf("%w\n%s", err, tail(out.Bytes()))
	}
	return said, out.Bytes(), nil
}

func tail(text []byte) []byte {
	const most = 4000
	return text[max(0, len(text)-most):]
}

func (j *judge) judgeHooks(cell string, said, logged []byte) {
	passed := map[string]bool{}
	for line := range bytes.Lines(said) {
		var found struct {
			Check, Says string
			OK          bool
		}
		if json.Unmarshal(line, &found) != nil {
			continue
		}
		passed[found.Check] = found.OK
		if !found.OK {
			j.fail("providers of age %s: %s: %s", cell, found.Check, found.Says)
		}
	}
	if len(passed) != len(checks) {
		j.fail("providers of age %s: %d of %d checks were made\n%s", cell, len(passed), len(checks), logged)
	}
	j.searchNeedle("providers of age "+cell, append(said, logged...))
	say("providers of age %s: %d of %d checks", cell, len(passed), len(checks))
}

// searchNeedle fails where a text holds a part of a password.
func (j *judge) searchNeedle(where string, text []byte) {
	if at := bytes.Index(text, []byte("n33dle")); at >= 0 {
		j.fail("%s: a secret is printed: …%.300s", where, text[max(0, at-200):])
	}
}

func (j *judge) installWheels(ctx context.Context, dir string) error {
	paths, err := j.wheels()
	if err != nil {
		return err
	}
	uv, err := venv.UV(ctx, j.cache)
	if err != nil {
		return err
	}
	return venv.Quiet(ctx, uv, append([]string{"pip", "install", "--python", dir, "--no-deps", "--no-index", "--reinstall"}, paths...)...)
}

// wheels builds the packages of this checkout, and returns their files.
func (j *judge) wheels() ([]string, error) { return wheel.Write(os.DirFS(j.root), j.dir, "dev") }
