package cli

import (
	"bytes"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALogIsAsTheFlagsSay(t *testing.T) {
	for format, begins := range map[string]string{"text": "time=", "json": `{"time":`} {
		var out bytes.Buffer
		log, level, err := NewLogger(&out, format, "warn")
		require.NoError(t, err)
		log.InfoContext(t.Context(), "quiet")
		assert.Empty(t, out.String(), format)
		log.WarnContext(t.Context(), "loud")
		assert.Contains(t, out.String(), begins, format)
		level.Set(slog.LevelDebug)
		assert.True(t, log.Enabled(t.Context(), slog.LevelDebug), "the level can be changed while it is in use")
	}
}

func TestALogRefuses(t *testing.T) {
	for message, flags := range map[string][2]string{
		"--log-format=xml: want text or json":                {"xml", "info"},
		"--log-level=loud: want debug, info, warn or error":  {"json", "loud"},
		"--log-level=: want debug, info, warn or error":      {"text", ""},
		"--log-level=infos: want debug, info, warn or error": {"xml", "infos"},
	} {
		_, _, err := NewLogger(io.Discard, flags[0], flags[1])
		var exit *ExitError
		require.ErrorAs(t, err, &exit)
		assert.Equal(t, Misuse, exit.Code)
		assert.EqualError(t, err, message)
	}
}
