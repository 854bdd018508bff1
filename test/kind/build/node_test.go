package build

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newSource(t *testing.T) string {
	t.Helper()
	source := t.TempDir()
	for _, name := range []string{
		"main.go", "kubernetes-v1.9.9.mod", "kubernetes-v1.36.3.mod", "kubernetes-v1.36.3.sum", "kubernetes-v1.35.4.mod",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(source, name), []byte(name), 0o600))
	}
	return source
}

func TestResolve(t *testing.T) {
	source := newSource(t)
	for asked, want := range map[string]string{
		"": "v1.36.3", "v1.36.3": "v1.36.3", "1.35.4": "v1.35.4", "v1.35": "v1.35.4", "1.9": "v1.9.9",
	} {
		got, err := Resolve(source, asked)
		require.NoError(t, err, asked)
		assert.Equal(t, want, got, asked)
	}
	_, err := Resolve(source, "v1.34")
	assert.EqualError(t, err, "kubernetes version v1.34 has no modfile, only v1.9.9, v1.35.4, v1.36.3; "+
		"'go run ./pin VERSION' makes one")
	_, err = Resolve(t.TempDir(), "")
	assert.ErrorContains(t, err, "run this in test/kind")
}

func TestContentKeyDependsOnEverythingThatIsBuilt(t *testing.T) {
	source := newSource(t)
	key := func(version, toolchain string) string {
		t.Helper()
		key, err := contentKey(source, version, toolchain)
		require.NoError(t, err)
		return key
	}
	first := key("v1.36.3", "go1.26")
	assert.Equal(t, first, key("v1.36.3", "go1.26"))
	assert.NotEqual(t, first, key("v1.36.3", "go1.27"))
	seen := map[string]bool{first: true}
	for _, name := range []string{"main.go", "kubernetes-v1.36.3.mod", "kubernetes-v1.36.3.sum"} {
		require.NoError(t, os.WriteFile(filepath.Join(source, name), []byte("changed"), 0o600))
		seen[key("v1.36.3", "go1.26")] = true
	}
	assert.Len(t, seen, 4)
	require.NoError(t, os.WriteFile(filepath.Join(source, "kubernetes-v1.35.4.mod"), []byte("changed"), 0o600))
	assert.True(t, seen[key("v1.36.3", "go1.26")], "another version's modfile is not built from")
}

func TestLinkerFlagsStampTheVersion(t *testing.T) {
	flags := linkerFlags("v1.36.3")
	for _, set := range []string{"gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"} {
		assert.Contains(t, flags, "-X k8s.io/component-base/version."+set)
		assert.Contains(t, flags, "-X k8s.io/client-go/pkg/version."+set)
	}
}
