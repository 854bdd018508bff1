package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/leoflow/secrets-csi/test/venv"
)

// asksWho tells whose "airflow" was imported, and whether both it and a provider's hook can be used.
const asksWho = `import airflow, airflow.sdk, airflow.configuration
from airflow.providers.standard.hooks.filesystem import FSHook
from airflow.sdk import BaseHook
print(airflow.__version__, "standin" if "standin" in BaseHook.__module__ else "real")`

// guard holds the stand-in against a real Airflow in one environment: whichever is found first, it
// is the real one, also after the stand-in is gone again. The same Airflow makes pods.
func (j *judge) guard(ctx context.Context) error {
	python := interpreters(ctx)
	recipe := venv.Recipe{Name: "guard", Python: python[pick(python, "3.12", "3.11", "3.13")], Before: before, Packages: []string{"apache-airflow==3.3.2", "apache-airflow-providers-cncf-kubernetes==10.25.0"}}
	dir, err := recipe.Make(ctx, j.cache, func(line string) { say("%s", line) })
	if err != nil {
		return err
	}
	bin := filepath.Join(dir, "bin", "python")
	standin := filepath.Join(j.root, "python", "leoflow_airflow_standin", "_compat") + ":" + filepath.Join(j.root, "python")
	packages, err := exec.CommandContext(ctx, bin, "-c", "import sysconfig; print(sysconfig.get_path('purelib'), end='')").Output()
	if err != nil {
		return err
	}
	for _, row := range []struct{ name, path string }{
		{"before a real Airflow", standin}, {"after a real Airflow", string(packages) + ":" + standin}, {"not there", ""},
	} {
		j.expect(ctx, "the stand-in is "+row.name, bin, row.path, "3.3.2 real")
	}
	if err := j.installWheels(ctx, dir); err != nil {
		return err
	}
	j.expect(ctx, "the stand-in's wheel is installed beside a real Airflow", bin, "", "3.3.2 real")
	if said, err := j.inAirflow(ctx, bin, filepath.Join(j.root, "test", "python", "python", "pods.py")).CombinedOutput(); err != nil {
		j.fail("pods that a real Airflow makes: %v\n%s", err, said)
	}
	uv, err := venv.UV(ctx, j.cache)
	if err != nil {
		return err
	}
	if err := venv.Quiet(ctx, uv, "pip", "uninstall", "--python", dir, "leoflow-airflow-standin", "leoflow-runtime"); err != nil {
		return err
	}
	j.expect(ctx, "the stand-in's wheel is gone again", bin, "", "3.3.2 real")
	if left, _ := filepath.Glob(filepath.Join(string(packages), "*leoflow*")); len(left) > 0 {
		j.fail("the stand-in leaves %v behind", left)
	}
	return nil
}

func (j *judge) expect(ctx context.Context, when, python, path, wanted string) {
	command := j.inAirflow(ctx, python, "-c", asksWho)
	if path != "" {
		command.Env = append(command.Env, "PYTHONPATH="+path)
	}
	said, err := command.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	if last := lines[len(lines)-1]; err != nil || last != wanted {
		j.fail("%s: %v: %s", when, err, said)
	}
}

// inAirflow is a program whose Airflow has a home of its own.
func (j *judge) inAirflow(ctx context.Context, python string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, python, append([]string{"-W", "ignore"}, args...)...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + j.dir, "AIRFLOW_HOME=" + j.dir}
	return command
}
