// Package venv makes virtual environments of Python, and keeps them from run to run.
package venv

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

const uvVersion = "0.13.9"

// Recipe is what an environment is made of.
type Recipe struct {
	// Name begins the directory's.
	Name string
	// Python is an interpreter, or a range of versions.
	Python string
	// Before leaves out what was released later, as YYYY-MM-DD.
	Before   string
	Packages []string
	// Without are packages that are not installed though others require them.
	Without []string
}

// Make installs the recipe below cache, or finds what is there, and returns the directory. What is half made has
// another name. It tells how long an installation took.
func (r Recipe) Make(ctx context.Context, cache string, tell func(line string)) (string, error) {
	text := strings.Join(append(append(r.Packages, r.Without...), uvVersion, r.Python, r.Before), " ")
	dir := filepath.Join(cache, fmt.Sprintf("%s-%.8x", r.Name, sha256.Sum256([]byte(text))))
	complete := filepath.Join(dir, "complete")
	if _, err := os.Stat(complete); err == nil {
		return dir, nil
	}
	uv, err := UV(ctx, cache)
	if err != nil {
		return "", err
	}
	started := time.Now()
	if err := Quiet(ctx, uv, "venv", "--clear", "--python", r.Python, dir); err != nil {
		return "", err
	}
	args := []string{"pip", "install", "--python", dir, "--exclude-newer", r.Before}
	if len(r.Without) > 0 {
		overrides := filepath.Join(dir, "without.txt")
		// A requirement for a Python that there is not.
		lines := strings.Join(r.Without, " ; python_version < '3'\n") + " ; python_version < '3'\n"
		if err := os.WriteFile(overrides, []byte(lines), 0o600); err != nil {
			return "", err
		}
		args = append(args, "--override", overrides)
	}
	if err := Quiet(ctx, uv, append(args, r.Packages...)...); err != nil {
		return "", err
	}
	tell(fmt.Sprintf("%s, installation: %.0f s", strings.Join(r.Packages, " "), time.Since(started).Seconds()))
	return dir, os.WriteFile(complete, []byte(text+"\n"), 0o600)
}

// UV is the program, which is installed by the pip of whichever Python there is.
func UV(ctx context.Context, cache string) (string, error) {
	dir := filepath.Join(cache, "uv-"+uvVersion)
	uv := filepath.Join(dir, "bin", "uv")
	if _, err := os.Stat(uv); err == nil {
		return uv, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	if err := Quiet(ctx, "python3", "-m", "venv", dir); err != nil {
		return "", fmt.Errorf("%w (Debian has it in python3-venv)", err)
	}
	return uv, Quiet(ctx, filepath.Join(dir, "bin", "pip"), "install", "uv=="+uvVersion)
}

// Quiet runs a command, and prints what it said only where it fails.
func Quiet(ctx context.Context, program string, args ...string) error {
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(os.Environ(), "UV_PYTHON_DOWNLOADS=never")
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", program, args[0], err, said)
	}
	return nil
}
