package chart

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// root is the project's directory, as the tests of every package beside this one see it.
const root = "../../.."

// helmProgram is the real one, from its Go module. To build it takes minutes the first
// time, which are nobody's patience.
var helmProgram = sync.OnceValues(func() (string, error) {
	command := exec.Command("go", "-C", root, "tool", "-modfile=tools/helm.mod", "-n", "helm")
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("building helm: %w", err)
	}
	return strings.TrimSpace(string(output)), nil
})

// Helm runs helm in the project's directory and returns what it printed.
func Helm(ctx context.Context, stdin []byte, args ...string) (string, error) {
	program, err := helmProgram()
	if err != nil {
		return "", err
	}
	kubeconfig, err := filepath.Abs(os.Getenv("KUBECONFIG"))
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = root
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	command.Stdin = bytes.NewReader(stdin)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("helm %s: %w: %s", args[0], err, output)
	}
	return string(output), nil
}
