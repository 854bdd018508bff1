package stack

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds the programs of the checkout at root into its bin/NAME, and returns that
// directory. Tests of different packages run at once, so each has a name of its own.
func Build(root, name string) (bin string, err error) {
	bin, err = filepath.Abs(filepath.Join(root, "bin", name))
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(context.Background(), "go", "build", "-o", bin+"/", "./cmd/...")
	command.Dir = root
	command.Stderr = os.Stderr
	return bin, command.Run()
}
