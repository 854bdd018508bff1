package into

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// minted is a token that nobody has signed, of the pod "task".
func minted(t *testing.T, audience any, expires time.Time, mark string) string {
	t.Helper()
	payload, err := json.Marshal(map[string]any{
		"aud": audience, "exp": expires.Unix(), "sub": "system:serviceaccount:airflow:etl",
		"kubernetes.io": map[string]any{
			"namespace": "airflow", "pod": map[string]string{"name": "task", "uid": "uid-task"},
			"serviceaccount": map[string]string{"name": "etl", "uid": "uid-etl"},
		},
	})
	require.NoError(t, err)
	return "e30." + base64.RawURLEncoding.EncodeToString(payload) + "." + mark
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestATokenTellsWhoseItIs(t *testing.T) {
	later := now.Add(time.Hour)
	tokens := Tokens{
		Files:    []string{file(t, minted(t, []string{"leoflow-core"}, later, "n33dle-core")+"\n"), file(t, minted(t, "vault", later, "n33dle-vault"))},
		Audience: "leoflow-core", Now: func() time.Time { return now },
	}
	who, err := tokens.Identity()
	require.NoError(t, err)
	assert.Equal(t, []string{"airflow", "etl", "task", "uid-task"}, []string{who.Namespace, who.ServiceAccount, who.PodName, who.PodUID})
	assert.True(t, strings.HasSuffix(who.Token.Reveal(), "n33dle-core"))
	assert.True(t, strings.HasSuffix(who.CloudTokens["vault"].Reveal(), "n33dle-vault"))
	assert.True(t, who.IsAttested())

	mounted := Tokens{Files: []string{file(t, minted(t, "https://kubernetes.default.svc.cluster.local", later, "n33dle-mounted"))}, Now: tokens.Now}
	who, err = mounted.Identity()
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(who.CloudTokens[""].Reveal(), "n33dle-mounted"), "for the API server")
	mounted.Audience = "leoflow-core"
	_, err = mounted.Core()
	require.ErrorContains(t, err, `but for ["https://kubernetes.default.svc.cluster.local"]`)

	// Some clusters name an audience of their own, which is neither the issuer nor the API server's name.
	named := Tokens{Files: []string{file(t, minted(t, "kubernetes.svc.default", later, "n33dle-mounted"))}, Now: tokens.Now}
	named.Mounted = named.Files[0]
	who, err = named.Identity()
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(who.CloudTokens[""].Reveal(), "n33dle-mounted"), "by where Kubernetes mounts it")

	tokens.TaskFile = file(t, "n33dle-task")
	who, err = tokens.Identity()
	require.NoError(t, err)
	assert.Equal(t, "n33dle-task", who.Token.Reveal())
	assert.True(t, who.TaskToken)

	nobody, err := Tokens{Audience: "leoflow-core"}.Identity()
	require.NoError(t, err)
	assert.Equal(t, "local", nobody.Namespace)
}

func TestATokenIsRefused(t *testing.T) {
	good := minted(t, "leoflow-core", now.Add(time.Hour), "n33dle")
	for name, row := range map[string]struct{ content, says string }{
		"expired":        {minted(t, "leoflow-core", now.Add(-leeway), "n33dle"), "expired at 2026-11-27T11:45:00Z, and this clock says 2026-11-27T12:00:00Z: kubelet renews a token that it projects"},
		"wrong audience": {minted(t, "n33dle-aud", now.Add(time.Hour), "s"), `--token-file: no token is for audience "leoflow-core", which core wants, but for ["n33dle-aud"]: write it as the audience of the projected serviceAccountToken`},
		"empty":          {" \n", "is empty"},
		"two lines":      {good + "\n" + good, "has characters that no token has"},
		"no token":       {"n33dle", "holds no service-account token"},
		"not decoded":    {"a.n33dle.c", "holds a token that cannot be decoded"},
		"a tar":          {strings.Repeat("n33dle", 4000), "has more than 16384 bytes, and is no token"},
	} {
		_, err := Tokens{Files: []string{file(t, row.content)}, Audience: "leoflow-core", Now: func() time.Time { return now }}.Core()
		require.ErrorContains(t, err, row.says, name)
		if name != "wrong audience" {
			assert.NotContains(t, err.Error(), "n33dle", name)
		}
	}
	ahead := Tokens{Files: []string{file(t, minted(t, "leoflow-core", now.Add(-10*time.Minute), "n33dle"))}, Audience: "leoflow-core", Now: func() time.Time { return now }}
	_, err := ahead.Core()
	require.NoError(t, err, "a clock that is ten minutes ahead")
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err = Tokens{Files: []string{pipe}}.Core()
	require.ErrorContains(t, err, "is no regular file", "nobody waits for who writes to a pipe: SIGTERM would not end that")
	_, err = Tokens{Files: []string{"/nowhere/token"}}.Core()
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Tokens{TaskFile: "/nowhere/token"}.Core()
	require.ErrorContains(t, err, "--task-token-file: open /nowhere/token")
	_, err = Tokens{}.Core()
	require.EqualError(t, err, "core is asked with a token: give --token-file, of a projected serviceAccountToken, or --task-token-file")
}
