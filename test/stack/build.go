package stack

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// buildTimeout is for two slow cores and nothing compiled yet.
const buildTimeout = 15 * time.Minute

// Build builds the programs of the checkout at root into its bin/NAME, others of its
// packages too, and returns that directory. Tests of different packages run at once, so
// each has a name of its own. 'make build' compiles the same way, so that what it has
// compiled is only linked.
func Build(root, name string, others ...string) (bin string, err error) {
	bin, err = filepath.Abs(filepath.Join(root, "bin", name))
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "go", append([]string{"build", "-tags", "grpcnotrace", "-trimpath", "-o", bin + "/", "./cmd/..."}, others...)...)
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	command.Stderr = os.Stderr
	return bin, command.Run()
}
