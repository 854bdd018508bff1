package mount

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// renew puts the token of that number into the volume's place for it.
func renew(target string, number int) error {
	content := keyless("")
	_, err := Renew(target, tokenFor("token "+strconv.Itoa(number)), content.Mode, content.GID)
	return err
}

// withdraw takes away the connection that goes by the identity.
func withdraw(target string, _ int) error {
	content := newContent()
	content.Entries = slices.Delete(content.Entries, 0, 1)
	_, err := Write(target, content)
	return err
}

// identityFiles are all files below the volume that are an identity's, in every generation.
func identityFiles(t *testing.T, target string) (left []string) {
	t.Helper()
	for _, pattern := range []string{"..*/" + layout.IdentityDir + "/*", layout.IdentityDir} {
		found, err := filepath.Glob(filepath.Join(target, pattern))
		require.NoError(t, err)
		left = append(left, found...)
	}
	return left
}

func TestKilledAtEachSystemCallOfARenewal(t *testing.T) {
	seen, rounds := map[string]bool{}, 0
	calls := killAtEachCall(t, testlong.Count(3, 1), "renew", func(target string) {
		require.NoError(t, publish(target, 7))
		_, err := Write(target, keyless("token 7"))
		require.NoError(t, err)
	}, func(target string) {
		token := readIn(t, target, "identity/aws.token")
		seen[token] = true
		before := shown(t, target)
		switch rounds++; rounds % 3 {
		case 0:
			require.NoError(t, renew(target, 8))
			outcome, err := Write(target, keyless("token 8"))
			require.NoError(t, err)
			assert.False(t, outcome.Changed, "a killed writer's file makes no generation")
			assert.Equal(t, before, shown(t, target))
		case 1: // what kubelet hands over is what stands
			require.NoError(t, errorOf(Renew(target, tokenFor(token), keyless("").Mode, keyless("").GID)))
			fallthrough
		default: // a delivery comes first
			outcome, err := Write(target, keyless(token))
			require.NoError(t, err)
			assert.False(t, outcome.Changed, "a killed writer's file makes no generation")
		}
		require.NoError(t, withdraw(target, 0))
		assert.Empty(t, identityFiles(t, target), "the token, whole or half, leaves with its connection")
	})
	assert.Greater(t, calls, 10)
	assert.Equal(t, map[string]bool{"token 7": true, "token 0": true}, seen, "one or the other, and nothing between")
}

// errorOf leaves out what a renewal tells.
func errorOf(_ []string, err error) error { return err }

// A connection that is withdrawn takes the token along in the swap itself: whatever instant the driver is killed
// at, the generation that is shown has both or neither.
func TestKilledAtEachSystemCallOfAWithdrawalOfAnIdentity(t *testing.T) {
	shows := map[bool]int{}
	killAtEachCall(t, testlong.Count(3, 1), "withdraw", func(target string) {
		require.NoError(t, publish(target, 7))
		_, err := Write(target, keyless("token 7"))
		require.NoError(t, err)
	}, func(target string) {
		_, connection := os.Lstat(filepath.Join(target, "..data/connections/warehouse"))
		_, token := os.Lstat(filepath.Join(target, "..data/identity/aws.token"))
		assert.Equal(t, connection == nil, token == nil)
		shows[token == nil]++
		require.NoError(t, withdraw(target, 0))
		assert.Empty(t, identityFiles(t, target))
	})
	assert.Len(t, shows, 2)
}

// What is granted for a volume with an identity is at least what it takes, both as it is guessed and as it is made
// out, and as long as kubelet's longest token.
func TestRoomIsAskedForTheFilesOfAnIdentity(t *testing.T) {
	for name, token := range map[string]string{"a usual one": strings.Repeat("x", 1<<10), "the longest": strings.Repeat("x", 16<<10)} {
		for _, exact := range []bool{false, true} {
			target, asked := newVolume(t, megabyte), []int64{}
			content := keyless(token)
			content.Cap = megabyte
			content.Room = func(need, _ int64) (int64, error) {
				asked = append(asked, need)
				if exact && len(asked) == 1 {
					return 0, ErrFull
				}
				return need, nil
			}
			outcome, err := Write(target, content)
			require.NoError(t, err, name)
			assert.GreaterOrEqual(t, asked[len(asked)-1], outcome.Memory, "%s, exact: %t", name, exact)
			without, err := Write(target, Content{Entries: newContent().Entries, Mode: content.Mode, GID: content.GID})
			require.NoError(t, err)
			assert.GreaterOrEqual(t, outcome.Memory-without.Memory, Footprint(content.Identities[0].files()), name)
		}
	}
}
