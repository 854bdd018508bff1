package airflow

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// version is one release of Airflow and what is installed with it.
type version struct {
	series, number string
	// before leaves out what was released later: a dependency that came after it broke
	// 3.0.6 and 3.2.2, in which no task runs any more.
	before string
	// python is a range that it runs on.
	python string
	// hooks installs the provider packages of that time, whose hooks are then asked too.
	hooks bool
}

// versions has the newest first, which is the one that every CI run judges by.
var versions = []version{
	{"3.3", "3.3.2", "2026-11-20", ">=3.11,<3.14", true},
	{"3.2", "3.2.2", "2026-07-01", ">=3.11,<3.14", false},
	{"3.1", "3.1.8", "2026-11-20", ">=3.11,<3.14", false},
	{"3.0", "3.0.6", "2025-10-01", ">=3.11,<3.13", true},
	{"2.11", "2.11.2", "2026-11-20", ">=3.11,<3.13", false},
	{"2.10", "2.10.5", "2025-03-01", ">=3.11,<3.13", true},
}

const uvVersion = "0.13.9"

var hookProviders = []string{"google", "amazon", "microsoft-azure", "postgres", "http", "ssh", "snowflake"}

func (v version) isTwo() bool { return strings.HasPrefix(v.number, "2.") }

func (v version) packages() []string {
	list := []string{"apache-airflow==" + v.number}
	if v.hooks {
		for _, name := range hookProviders {
			list = append(list, "apache-airflow-providers-"+name)
		}
	}
	return list
}

// install makes a virtual environment below cache, or finds the one that is there, and
// returns its directory. What is half made has another name.
func (v version) install(ctx context.Context, cache string) (string, error) {
	recipe := strings.Join(append(v.packages(), uvVersion, v.python, v.before), " ")
	dir := filepath.Join(cache, fmt.Sprintf("%s-%.8x", v.number, sha256.Sum256([]byte(recipe))))
	complete := filepath.Join(dir, "complete")
	if _, err := os.Stat(complete); err == nil {
		return dir, nil
	}
	uv, err := installUV(ctx, cache)
	if err != nil {
		return "", err
	}
	started := time.Now()
	if err := quiet(ctx, uv, "venv", "--clear", "--python", v.python, dir); err != nil {
		return "", err
	}
	args := append([]string{"pip", "install", "--python", dir, "--exclude-newer", v.before}, v.packages()...)
	if err := quiet(ctx, uv, args...); err != nil {
		return "", err
	}
	say("%s, installation: %.0f s", strings.Join(v.packages(), " "), time.Since(started).Seconds())
	return dir, os.WriteFile(complete, []byte(recipe+"\n"), 0o600)
}

// installUV installs uv by the pip of whichever Python there is.
func installUV(ctx context.Context, cache string) (string, error) {
	dir := filepath.Join(cache, "uv-"+uvVersion)
	uv := filepath.Join(dir, "bin", "uv")
	if _, err := os.Stat(uv); err == nil {
		return uv, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	if err := quiet(ctx, "python3", "-m", "venv", dir); err != nil {
		return "", fmt.Errorf("%w (Debian has it in python3-venv)", err)
	}
	return uv, quiet(ctx, filepath.Join(dir, "bin", "pip"), "install", "uv=="+uvVersion)
}

// quiet runs a command, and prints what it said only where it fails.
func quiet(ctx context.Context, program string, args ...string) error {
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(os.Environ(), "UV_PYTHON_DOWNLOADS=never")
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", program, args[0], err, said)
	}
	return nil
}
