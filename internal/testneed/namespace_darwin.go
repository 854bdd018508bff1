package testneed

import (
	"syscall"
	"testing"
)

// PIDNamespace ends a test that needs one: macOS has none.
func PIDNamespace(t testing.TB) *syscall.SysProcAttr {
	t.Helper()
	Missing(t, "namespaces, which only Linux has")
	return nil
}
