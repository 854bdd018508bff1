package main

import (
	"io/fs"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func TestExitCode(t *testing.T) {
	for script, want := range map[string]error{
		"true":          nil,
		"exit 7":        &cli.ExitError{Code: 7},
		"kill -TERM $$": &cli.ExitError{Code: 143},
	} {
		assert.Equal(t, want, exitCode(exec.Command("sh", "-c", script).Run()), script)
	}
	assert.ErrorIs(t, exitCode(exec.Command("/does/not/exist").Run()), fs.ErrNotExist)
}
