package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// Core asks no cloud, and the driver no database.
func TestWhatTheProgramsLink(t *testing.T) {
	testneed.Program(t, "go")
	for program, never := range map[string][]string{
		"../core":   {"github.com/aws/", "github.com/Azure/", "cloud.google.com/"},
		"../driver": {"github.com/jackc/"},
		"../agent":  {"github.com/jackc/"},
	} {
		out, err := testwait.Command(t, "go", "list", "-deps", program).Output()
		require.NoError(t, err)
		require.Contains(t, string(out), "github.com/leoflow/secrets-csi/")
		for _, path := range never {
			assert.False(t, strings.Contains("\n"+string(out), "\n"+path), "%s links %s", program, path)
		}
	}
}
