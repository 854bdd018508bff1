package deliver

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func hasToken(t *testing.T, v Volume) bool {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(v.TargetPath, "..*", layout.IdentityDir, "*.token*"))
	require.NoError(t, err)
	return len(found) > 0
}

func tokens(text string) map[string]secret.Text {
	return map[string]secret.Text{awsAudience: secret.New(text)}
}

// A connection that gets a key loses the pod's identity with the same swap, and has it again, with the newest
// token, when the key is taken out.
func TestAConnectionGoesFromKeylessToKeyedAndBack(t *testing.T) {
	r, _, v := keyless(t)
	require.NoError(t, r.Publish(t.Context(), v))
	for round := range 3 {
		key := airflow.Connection{ID: "aws_default", Type: "aws", Login: new("AKIA"), Password: new(secret.New("needle-key"))}
		r.fake.SetConnection(key)
		r.look(t)
		assert.False(t, hasToken(t, v))
		assert.Contains(t, read(t, v, "connections/aws_default"), "needle-key")
		assert.Empty(t, lineOf(t, v, "aws_default").Identity)

		newest := fmt.Sprint("needle-", round)
		v.Pod.CloudTokens = tokens(newest)
		require.NoError(t, r.Publish(t.Context(), v))
		assert.False(t, hasToken(t, v), "a republish brings none")

		r.fake.SetConnection(airflow.Connection{ID: "aws_default", Type: "aws"})
		r.look(t)
		assert.Equal(t, newest, read(t, v, "identity/aws.token"))
		assert.NotContains(t, read(t, v, "connections/aws_default"), "needle-key")
	}
	assert.Equal(t, uint64(7), must(r.Health(v.ID)).Generation)
	assert.NotContains(t, r.log.String(), "needle")
}

// Whoever comes first, a renewal brings nothing back that was withdrawn.
func TestAWithdrawalMeetsRenewals(t *testing.T) {
	for range 20 {
		r, _, v := keyless(t)
		require.NoError(t, r.Publish(t.Context(), v))
		r.fake.Deny("etl", layout.Name{Kind: layout.Connection, ID: "aws_default"})
		var renewing sync.WaitGroup
		renewing.Go(func() {
			for i := range 20 {
				later := v
				later.Pod.CloudTokens = tokens(fmt.Sprint("needle-", i))
				assert.NoError(t, r.Publish(t.Context(), later))
			}
		})
		r.look(t)
		assert.False(t, hasToken(t, v))
		renewing.Wait()
		assert.False(t, hasToken(t, v))
		assert.NotContains(t, r.log.String(), "needle")
	}
}

// A republish with another mode or group, as of a changed fsGroup, has them on the token too.
func TestATokenHasTheModeAndGroupOfItsVolume(t *testing.T) {
	r, _, v := keyless(t)
	require.NoError(t, r.Publish(t.Context(), v))
	check := func() {
		info, err := os.Stat(filepath.Join(v.TargetPath, "identity/aws.token"))
		require.NoError(t, err)
		assert.Equal(t, v.fileMode(), info.Mode().Perm())
		value, err := os.Stat(filepath.Join(v.TargetPath, "connections/aws_default"))
		require.NoError(t, err)
		assert.Equal(t, value.Mode(), info.Mode())
	}
	check()
	v.Mode, v.Pod.CloudTokens = 0o444, tokens("needle-two")
	require.NoError(t, r.Publish(t.Context(), v))
	r.look(t)
	check()
	assert.Equal(t, "needle-two", read(t, v, "identity/aws.token"))
}

// The driver takes a token as kubelet hands it over, whatever the node's clock makes of its times: ten minutes
// off either way, over, or not begun.
func TestAClockThatIsOffChangesNothing(t *testing.T) {
	tokenOf := func(nbf, exp time.Duration) string {
		now := time.Now()
		claims := fmt.Sprintf(`{"iss":"https://issuer.example","nbf":%d,"exp":%d}`, now.Add(nbf).Unix(), now.Add(exp).Unix())
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".needle"
	}
	r, _, v := keyless(t)
	for i, token := range []string{
		tokenOf(0, time.Hour), tokenOf(10*time.Minute, 70*time.Minute), tokenOf(-70*time.Minute, -10*time.Minute),
		tokenOf(-10*time.Minute, 50*time.Minute), tokenOf(0, 0), strings.Repeat("x", 16<<10),
	} {
		v.Pod.CloudTokens = tokens(token)
		require.NoError(t, r.Publish(t.Context(), v))
		assert.Equal(t, token, read(t, v, "identity/aws.token"), i)
		r.look(t)
		assert.Equal(t, token, read(t, v, "identity/aws.token"), i)
		assert.Nil(t, lineOf(t, v, "aws_default").Held)
		assert.Empty(t, lineOf(t, v, "aws_default").Notices)
	}
	assert.Equal(t, uint64(1), must(r.Health(v.ID)).Generation)
	assert.NotContains(t, r.log.String(), "needle")
}
