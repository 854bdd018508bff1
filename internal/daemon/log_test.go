package daemon

import (
	"log/slog"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestASignalSwitchesTheLogLevelAndBack(t *testing.T) {
	out := new(testwait.Output)
	log, level, err := cli.NewLogger(out, "json", "info")
	require.NoError(t, err)
	stop := followSignals(log, level)
	defer stop()
	assert.False(t, log.Enabled(t.Context(), slog.LevelDebug))
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	out.Await(t, "log level switched")
	assert.True(t, log.Enabled(t.Context(), slog.LevelDebug))
	toggle(level, slog.LevelInfo)
	assert.False(t, log.Enabled(t.Context(), slog.LevelDebug))
	assert.True(t, log.Enabled(t.Context(), slog.LevelInfo))
}

func TestADriverStartedForDebuggingStaysSo(t *testing.T) {
	log, level, err := cli.NewLogger(new(testwait.Output), "json", "debug")
	require.NoError(t, err)
	toggle(level, slog.LevelDebug)
	assert.True(t, log.Enabled(t.Context(), slog.LevelDebug))
}
