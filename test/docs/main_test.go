// Package docs holds the documents to what they describe: flags and messages are those
// of the programs, tests and files that are named exist.
package docs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/test/console"
)

// Examples serve at the ports that they name, which on this machine may be another's.
func TestMain(m *testing.M) { os.Exit(mounttest.RunWithNetwork(m)) }

const root = "../.."

// documents are the paths of all documents, by their text.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts, err := console.Documents(root)
	require.NoError(t, err)
	require.NotEmpty(t, texts)
	found := map[string]string{}
	for path, text := range texts {
		found[filepath.Join(root, path)] = text
	}
	return found
}
