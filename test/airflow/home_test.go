package airflow

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/leoflow/secrets-csi/internal/wheel"
)

//go:embed python/*.py
var scripts embed.FS

// home is an AIRFLOW_HOME and how to start things there.
type home struct {
	dir, venv, scripts string
	version            version
	// api is the address of the execution API, as HOST:PORT.
	api string
	// more is the environment that everything started here has besides.
	more []string
}

// environ is that of every process of Airflow. Nothing of ours is inherited.
func (h home) environ(more ...string) []string {
	environ := []string{
		"PATH=" + filepath.Join(h.venv, "bin") + ":" + os.Getenv("PATH"), "HOME=" + h.dir, "LANG=C.UTF-8",
		"AIRFLOW_HOME=" + h.dir, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=sqlite:///" + filepath.Join(h.dir, "airflow.db"),
		"AIRFLOW__LOGGING__BASE_LOG_FOLDER=" + filepath.Join(h.dir, "logs"), "PYTHONPATH=" + h.scripts, "PYTHONWARNINGS=ignore",
		"AIRFLOW__CORE__LOAD_EXAMPLES=False", "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS=False",
		"AIRFLOW__CORE__FERNET_KEY=81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs=",
		// A scheduler whose executor runs tasks beside it; for SQLite 2.x takes one for tests alone.
		"AIRFLOW__CORE__EXECUTOR=LocalExecutor", "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK=1",
		"AIRFLOW__CORE__DAGS_FOLDER=" + filepath.Join(h.dir, "dags"),
		"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False", "AIRFLOW__CORE__UNIT_TEST_MODE=False",
		"AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL=1", "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL=1",
		"AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT=60", "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES=1",
		// A request is answered while the file is parsed, which may take its time on a busy machine.
		"AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT=600", "AIRFLOW__CORE__DAG_FILE_PROCESSOR_TIMEOUT=900",
		"AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT=900",
		"AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK=False", "AIRFLOW__API_AUTH__JWT_SECRET=a-secret-of-this-test-alone-0123456789-0123456789-0123456789",
		"AIRFLOW__CORE__EXECUTION_API_SERVER_URL=http://" + h.api + "/execution/", "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False",
		"AWS_EC2_METADATA_DISABLED=true", "NO_GCE_CHECK=true",
	}
	return append(append(environ, h.more...), more...)
}

// prepare makes the directories and an empty metastore.
func (h home) prepare(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(h.dir, "dags"), 0o755); err != nil {
		return err
	}
	dag, err := scripts.ReadFile("python/dag.py")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(h.dir, "dags", "judge_dag.py"), dag, 0o600); err != nil {
		return err
	}
	if err := h.run(ctx, "airflow", []string{"db", "migrate"}); err != nil {
		return err
	}
	// It names this directory, and a copy has another.
	return os.Remove(filepath.Join(h.dir, "airflow.cfg"))
}

// copied is a home in another directory, with a copy of the metastore.
func (h home) copied(dir string) (home, error) {
	next := h
	next.dir = dir
	return next, os.CopyFS(dir, os.DirFS(h.dir))
}

func (h home) run(ctx context.Context, program string, args []string, environ ...string) error {
	command := h.command(ctx, filepath.Join(h.venv, "bin", program), args, environ...)
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", program, args[0], err, tail(string(said)))
	}
	return nil
}

func (h home) command(ctx context.Context, program string, args []string, environ ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = h.dir
	command.Env = h.environ(environ...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return command
}

// writeWheel puts the Python package beside the agent, as its image has both.
func writeWheel(bin string) error {
	built, err := wheel.Build(os.DirFS(filepath.Join("..", "..")), wheel.Runtime, "dev")
	if err != nil {
		return fmt.Errorf("building the wheel: %w", err)
	}
	return os.WriteFile(filepath.Join(bin, "leoflow_runtime.whl"), built.Content, 0o600)
}

// writeScripts lays the Python files out.
func writeScripts(dir string) error {
	python, err := fs.Sub(scripts, "python")
	if err != nil {
		return err
	}
	return os.CopyFS(dir, python)
}

func tail(text string) string {
	const most = 3000
	return text[max(0, len(text)-most):]
}
