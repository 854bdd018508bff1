// Package docs holds the documents to what they describe: flags and messages are those
// of the programs, tests and files that are named exist.
package docs

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// update is for 'make generate'.
var update = flag.Bool("update", false, "write the generated blocks of the documents anew")

const root = "../.."

// documents are the paths of all documents written by hand, by their text.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			found[path] = string(text)
		}
	}
	require.NotEmpty(t, found)
	return found
}
