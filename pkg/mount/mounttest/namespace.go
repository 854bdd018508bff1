// Package mounttest lets tests mount real file systems and leak none: it runs a test
// binary in a mount namespace of its own, and as an unprivileged user in a user
// namespace too.
package mounttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside marks the environment of the process that has its own mount namespace.
const inside = "LEOFLOW_MOUNTTEST_NAMESPACE"

// Run is for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }
//
// It runs the test binary once more, in a namespace whose mounts end with it, and
// returns that run's exit code.
func Run(m *testing.M) int {
	if os.Getenv(inside) == "" {
		return runAgain()
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		fmt.Fprintln(os.Stderr, "making mounts private:", err)
		return 1
	}
	return m.Run()
}

func runAgain() int {
	command := exec.CommandContext(context.Background(), "/proc/self/exe", os.Args[1:]...)
	command.Args[0] = os.Args[0]
	command.Env = append(os.Environ(), inside+"=1")
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = namespaces()
	runtime.LockOSThread() // the child's death signal comes when this thread ends
	defer runtime.UnlockOSThread()
	err := command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "running tests in a mount namespace (does the kernel allow user namespaces?):", err)
		return 1
	}
	return 0
}

// namespaces makes an unprivileged user root of a user namespace. Whoever is root
// already stays so: a user namespace would only take abilities away.
func namespaces() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	if os.Geteuid() != 0 {
		attributes.Cloneflags |= unix.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attributes
}
