package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// keyless is the content of newContent whose connection shows the pod's identity at AWS.
func keyless(token string) Content {
	content := newContent()
	content.Entries[0].Identity = "aws"
	line := layout.NewIdentity("aws", "sts.amazonaws.com", true)
	line.Variables = []layout.IdentityVariable{{Name: layout.AWSRole, Value: "arn:aws:iam::1:role/a"}, {Name: layout.AWSTokenFile, File: line.Token}}
	content.Identities = []Identity{{line, []byte(token), []byte("[default]\n")}}
	return content
}

func tokenFor(token string) func(string) []byte {
	return func(audience string) []byte {
		if audience != "sts.amazonaws.com" {
			return nil
		}
		return []byte(token)
	}
}

func TestAnIdentityStandsBesideItsConnection(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, content Content) (target string){
		"a new volume": func(t *testing.T, content Content) string {
			target := newVolume(t, megabyte)
			_, err := Write(target, content)
			require.NoError(t, err)
			return target
		},
		"a live one": func(t *testing.T, content Content) string {
			target := newVolume(t, megabyte)
			_, err := Write(target, newContent())
			require.NoError(t, err)
			_, err = Write(target, content)
			require.NoError(t, err)
			return target
		},
	} {
		t.Run(name, func(t *testing.T) {
			content := keyless("token one")
			target := make(t, content)
			assertShows(t, target, content)
			assert.Equal(t, "token one", readIn(t, target, "identity/aws.token"))
			assert.Equal(t, "[default]\n", readIn(t, target, "identity/aws.config"))
			current, err := Current(target)
			require.NoError(t, err)
			assert.Equal(t, []layout.Identity{content.Identities[0].Identity}, current.Manifest.Identities)
			info, err := os.Stat(filepath.Join(target, "identity/aws.token"))
			require.NoError(t, err)
			assert.Equal(t, content.Mode, info.Mode().Perm())

			again, err := Write(target, content)
			require.NoError(t, err)
			assert.False(t, again.Changed)
			content.Identities[0].Token = []byte("token two")
			again, err = Write(target, content)
			require.NoError(t, err)
			assert.True(t, again.Changed)
			assert.Equal(t, "token two", readIn(t, target, "identity/aws.token"))
		})
	}
}

// Of what is held the identity stays too, and goes with the last connection that speaks of it.
func TestAnIdentityLeavesWithItsConnection(t *testing.T) {
	target := newVolume(t, megabyte)
	_, err := Write(target, keyless("token one"))
	require.NoError(t, err)

	content := newContent()
	content.Entries[0] = held(layout.Connection, "warehouse", "away")
	_, err = Write(target, content)
	require.NoError(t, err)
	assert.Equal(t, "token one", readIn(t, target, "identity/aws.token"))
	assert.Equal(t, "aws", linesOf(t, target)["warehouse"].Identity)

	rest := Content{Rest: true, Mode: content.Mode, GID: content.GID, Entries: []Entry{{Entry: layout.Entry{Kind: layout.Variable, ID: "region", State: layout.Denied}}}}
	_, err = Write(target, rest)
	require.NoError(t, err)
	assert.Equal(t, "token one", readIn(t, target, "identity/aws.token"))

	rest.Entries = []Entry{{Entry: layout.Entry{Kind: layout.Connection, ID: "warehouse", State: layout.Denied}}}
	_, err = Write(target, rest)
	require.NoError(t, err)
	for _, path := range []string{"identity", "..data/identity"} {
		_, err = os.Lstat(filepath.Join(target, path))
		require.ErrorIs(t, err, os.ErrNotExist, path)
	}
	current, err := Current(target)
	require.NoError(t, err)
	assert.Empty(t, current.Manifest.Identities)
}

func TestATokenIsRenewedWithinItsGeneration(t *testing.T) {
	target, content := newVolume(t, megabyte), keyless("token one")
	_, err := Write(target, content)
	require.NoError(t, err)
	before, awoken := shown(t, target), watch(t, target)
	require.NoError(t, os.WriteFile(filepath.Join(target, "..data/identity/aws.token.next"), []byte("half"), 0o600), "a killed writer's")

	for _, row := range []struct {
		token string
		want  []string
	}{{"token one", nil}, {"", nil}, {"token two", []string{"aws"}}} {
		clouds, err := Renew(target, tokenFor(row.token), content.Mode, content.GID)
		require.NoError(t, err)
		assert.Equal(t, row.want, clouds, "%q", row.token)
	}
	assert.Equal(t, "token two", readIn(t, target, "identity/aws.token"))
	assert.Equal(t, before, shown(t, target))
	assert.False(t, awoken())
	content.Identities[0].Token = []byte("token two")
	assertShows(t, target, content)
}

func TestRenewLeavesAloneWhatHasNoIdentity(t *testing.T) {
	target := newVolume(t, megabyte)
	_, err := Renew(target, tokenFor("token"), 0o440, 0)
	require.ErrorIs(t, err, ErrNoGeneration)
	_, err = Write(target, newContent())
	require.NoError(t, err)
	clouds, err := Renew(target, tokenFor("token"), 0o440, 0)
	require.NoError(t, err)
	assert.Empty(t, clouds)
	_, err = Renew(t.TempDir(), tokenFor("token"), 0o440, 0)
	require.ErrorIs(t, err, ErrNotMounted)
}

func TestWriteRefusesAnIdentityOfAnotherForm(t *testing.T) {
	target := newVolume(t, megabyte)
	for name, damage := range map[string]func(i *Identity){
		"a path":          func(i *Identity) { i.Identity.Token = "identity/../manifest.json" },
		"another cloud":   func(i *Identity) { i.Cloud = "oci" },
		"a variable":      func(i *Identity) { i.Variables[0].Name = "LD_PRELOAD" },
		"no token":        func(i *Identity) { i.Token = nil },
		"a second line":   func(i *Identity) { i.Variables[0].Value += "\n" },
		"another's file":  func(i *Identity) { i.Variables[1].File = "connections/warehouse" },
		"a variable more": func(i *Identity) { i.Variables = append(i.Variables, i.Variables[0]) },
	} {
		content := keyless("token one")
		damage(&content.Identities[0])
		_, err := Write(target, content)
		require.ErrorIs(t, err, ErrContent, name)
	}
}

func TestAnIdentityPrintsNoToken(t *testing.T) {
	one := keyless("needle").Identities[0]
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		assert.NotContains(t, fmt.Sprintf(format, one), "needle")
		assert.NotContains(t, fmt.Sprintf(format, one), fmt.Sprintf("%x", "needle"))
	}
}
