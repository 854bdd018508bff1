//go:build linux

package testneed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Child are the attributes of a process that ends with this one.
func Child() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// Namespaces are the attributes of a process in namespaces of its own, by the kernel's
// CLONE_NEW flags. Whoever may not make them becomes root of a user namespace first; who
// may stays as he is, since a user namespace would only take abilities away.
func Namespaces(flags uintptr) *syscall.SysProcAttr {
	if hasSysAdmin() {
		return &syscall.SysProcAttr{Cloneflags: flags}
	}
	return inUserNamespace(flags)
}

func inUserNamespace(flags uintptr) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | flags,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
}

// hasSysAdmin is what namespaces and mounts take. Root has it, but in a container may not.
func hasSysAdmin() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&header, &data[0])
	return err == nil && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// PIDNamespace ends a test that needs Namespaces(CLONE_NEWPID) where the kernel refuses.
func PIDNamespace(t testing.TB) *syscall.SysProcAttr {
	t.Helper()
	return tried(t, Namespaces(unix.CLONE_NEWPID))
}

// UserNamespace ends a test that needs a user namespace, also as root, where the kernel
// refuses: by a setting, by a security module, or because it has none.
func UserNamespace(t testing.TB) *syscall.SysProcAttr {
	t.Helper()
	return tried(t, inUserNamespace(unix.CLONE_NEWNS))
}

// NoNamespace says that the kernel gives none, by the error of starting a process in it.
func NoNamespace(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Sprintf("the kernel gives this user no namespace to mount in (%v)", err)
}

func tried(t testing.TB, attributes *syscall.SysProcAttr) *syscall.SysProcAttr {
	t.Helper()
	probe := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.list=^$")
	probe.SysProcAttr = attributes
	if err := probe.Run(); err != nil {
		Missing(t, NoNamespace(err))
	}
	return attributes
}
