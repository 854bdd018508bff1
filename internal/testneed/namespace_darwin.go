package testneed

import (
	"syscall"
	"testing"
)

// Child are the attributes of a process that goes on without this one, as macOS has it.
func Child() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// PIDNamespace ends a test that needs one: macOS has none.
func PIDNamespace(t testing.TB) *syscall.SysProcAttr {
	t.Helper()
	Missing(t, "namespaces, which only Linux has")
	return nil
}
