package mounttest

import (
	"testing"

	"github.com/leoflow/secrets-csi/internal/testneed"
)

// Run runs no test: without namespaces, what they mount would stay.
func Run(*testing.M) int {
	return testneed.MissingForAll("mount namespaces, which only Linux has")
}

// RunWithNetwork is Run.
func RunWithNetwork(m *testing.M) int { return Run(m) }

// Tmpfs ends the test.
func Tmpfs(t testing.TB, _ string) string {
	t.Helper()
	testneed.Missing(t, "a tmpfs, which only Linux has")
	return ""
}
