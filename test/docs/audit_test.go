package docs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/console"
	"github.com/leoflow/secrets-csi/test/stack"
)

// Of what core records as allowed, the watch of each node's driver comes first. README's command shows
// what its task was given, and nothing else.
func TestTheAuditCommandShowsTheTaskAlone(t *testing.T) {
	document, err := console.Parse("README.md", read(t, "README.md"))
	require.NoError(t, err)
	filter := ""
	for _, step := range document.Steps {
		if before, after, piped := strings.Cut(step.Command, " | "); piped && strings.HasSuffix(before, "logs deployment/leoflow-core") {
			filter = after
		}
	}
	require.NotEmpty(t, filter)
	bin, err := programs()
	require.NoError(t, err)
	running, err := stack.Start(t.Context(), stack.Options{Bin: bin, Connections: "{}", Variables: "{}", Rules: "rules: []"})
	require.NoError(t, err)
	defer func() { require.NoError(t, running.Close()) }()
	_, err = running.Core.WaitFor(t.Context(), `SecretsService/Watch"`)
	require.NoError(t, err)
	asked, err := json.Marshal(audit.Record{
		Method: "/leoflow.secrets.v1.SecretsService/Fetch", Entry: "leoflow_trial", Decision: audit.Allowed,
		Caller: auth.Caller{Namespace: "default", ServiceAccount: "default", Pod: "task"},
	})
	require.NoError(t, err)
	logged := running.Core.Output()
	require.Contains(t, logged, `"decision":"allowed"`, "of the watch")
	command := testwait.Command(t, "bash", "-c", filter)
	command.Stdin = strings.NewReader(logged + string(asked) + "\n")
	shown, err := command.Output()
	require.NoError(t, err)
	assert.Equal(t, string(asked)+"\n", string(shown))
}
