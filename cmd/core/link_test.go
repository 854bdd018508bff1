package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// Core and agent ask no cloud, and nothing on a node a database. What else driver and fetcher may link, their own tests say.
func TestWhatTheProgramsLink(t *testing.T) {
	testneed.Program(t, "go")
	database := []string{"github.com/jackc/"}
	clouds := []string{"github.com/aws/", "github.com/Azure/", "github.com/AzureAD/", "cloud.google.com/", "google.golang.org/api/"}
	for program, never := range map[string][]string{
		"../core":    clouds,
		"../driver":  slices.Concat(clouds, database),
		"../fetcher": database,
		"../agent":   slices.Concat(clouds, database),
	} {
		out, err := testwait.Command(t, "go", "list", "-deps", program).Output()
		require.NoError(t, err)
		require.Contains(t, string(out), "github.com/leoflow/secrets-csi/")
		for _, path := range never {
			assert.False(t, strings.Contains("\n"+string(out), "\n"+path), "%s links %s", program, path)
		}
	}
}

// TestTheProgramsAreSmall builds them as they are handed out, without symbols: what they take on disk.
func TestTheProgramsAreSmall(t *testing.T) {
	testneed.Program(t, "go")
	into := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute) // where nothing is compiled yet
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w", "-o", into, "../driver", "../fetcher", "../agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	for program, most := range map[string]int64{"driver": 14_000_000, "fetcher": 65_000_000, "agent": 3_000_000} {
		info, err := os.Stat(filepath.Join(into, program))
		require.NoError(t, err)
		t.Logf("%s has %d bytes", program, info.Size())
		assert.LessOrEqual(t, info.Size(), most, program)
	}
}
