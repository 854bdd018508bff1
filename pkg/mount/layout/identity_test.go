package layout

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newIdentity() Identity {
	made := NewIdentity("azure", "api://AzureADTokenExchange", false)
	made.Variables = []IdentityVariable{{AzureClient, "client", ""}, {AzureTokenFile, "", made.Token}}
	made.Annotations = []string{"azure.workload.identity/client-id"}
	return made
}

func TestManifestSurvivesEncodingWithIdentities(t *testing.T) {
	manifest := newManifest()
	manifest.Entries[0].Identity, manifest.Identities = "azure", []Identity{newIdentity()}
	data, err := manifest.Encode()
	require.NoError(t, err)
	read, err := ParseManifest(data)
	require.NoError(t, err)
	assert.Equal(t, manifest, read)
	one, there := read.Identity("azure")
	assert.True(t, there)
	require.NoError(t, one.Check())
	_, there = read.Identity("aws")
	assert.False(t, there)
}

func TestAnIdentityIsOfAClosedTable(t *testing.T) {
	require.NoError(t, newIdentity().Check())
	for name, damage := range map[string]func(i *Identity){
		"no cloud":             func(i *Identity) { i.Cloud = "" },
		"another cloud":        func(i *Identity) { i.Cloud = "aws" },
		"no audience":          func(i *Identity) { i.Audience = "" },
		"an odd audience":      func(i *Identity) { i.Audience = "a\nb" },
		"a token elsewhere":    func(i *Identity) { i.Token = "identity/aws.token" },
		"a configuration":      func(i *Identity) { i.Config = "identity/azure.json" },
		"a variable":           func(i *Identity) { i.Variables[0].Name = "PATH" },
		"a file for a text":    func(i *Identity) { i.Variables[0] = IdentityVariable{AzureClient, "", i.Token} },
		"a text for a file":    func(i *Identity) { i.Variables[1] = IdentityVariable{AzureTokenFile, "/etc/passwd", ""} },
		"an empty text":        func(i *Identity) { i.Variables[0].Value = "" },
		"a letter beyond":      func(i *Identity) { i.Variables[0].Value = "é" },
		"a long text":          func(i *Identity) { i.Variables[0].Value = strings.Repeat("a", 3000) },
		"a variable twice":     func(i *Identity) { i.Variables = append(i.Variables, i.Variables[0]) },
		"many variables":       func(i *Identity) { i.Variables = make([]IdentityVariable, 9) },
		"a file of no cloud":   func(i *Identity) { i.Variables[1].File = "manifest.json" },
		"an empty annotation":  func(i *Identity) { i.Annotations = []string{""} },
		"an odd annotation":    func(i *Identity) { i.Annotations[0] += "\n" },
		"many annotations":     func(i *Identity) { i.Annotations = make([]string, MostIdentityAnnotations+1) },
		"no configuration":     func(i *Identity) { i.Variables[1].File = "" },
		"a file beside a text": func(i *Identity) { i.Variables[1].Value = "x" },
	} {
		one := newIdentity()
		damage(&one)
		require.ErrorIs(t, one.Check(), ErrIdentity, name)
	}
}

// A cloud of a later release is for a reader to pass over, and a path out of the volume is not.
func TestAReaderTakesIdentitiesOfLaterReleases(t *testing.T) {
	parse := func(identity string) (Manifest, error) {
		return ParseManifest([]byte(`{"schema": 1, "identities": [` + identity + `]}`))
	}
	later, err := parse(`{"cloud": "oci", "token": "identity/oci.token", "variables": [{"name": "OCI_X", "file": "identity/oci.token"}], "region": "r"}`)
	require.NoError(t, err)
	require.ErrorIs(t, later.Identities[0].Check(), ErrIdentity)
	for _, bad := range []string{
		`{"cloud": "aws"}`, `{"cloud": "aws", "token": "identity/.."}`, `{"cloud": "aws", "token": "connections/a"}`,
		`{"cloud": "aws", "token": "identity/a/b"}`, `{"cloud": "aws", "token": "identity/aws.token", "config": "../x"}`,
		`{"cloud": "aws", "token": "identity/"}`, `{"cloud": 1}`, `{"cloud": "aws", "token": "identity/aws.token", "annotations": [1]}`, `1`, `{"variables": 1}`,
	} {
		_, err := parse(bad)
		require.ErrorIs(t, err, ErrManifest, bad)
	}
}
