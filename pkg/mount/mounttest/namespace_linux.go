// Package mounttest lets tests mount real file systems and leak none: it runs a test
// binary in a mount namespace of its own, and for who may not mount in a user namespace
// too. Where the kernel lets nobody make those, no test of the binary is run.
package mounttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testneed"
)

// inside marks the environment of the process that has its own namespaces.
const inside = "LEOFLOW_MOUNTTEST_NAMESPACE"

// Run is for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }
//
// It runs the test binary once more, in a namespace whose mounts end with it, and
// returns that run's exit code.
func Run(m *testing.M) int { return run(m, unix.CLONE_NEWNS) }

// RunWithNetwork is Run in a network of its own too, which has a loopback device alone.
func RunWithNetwork(m *testing.M) int { return run(m, unix.CLONE_NEWNS|unix.CLONE_NEWNET) }

func run(m *testing.M, namespaces uintptr) int {
	if testneed.Listing() { // which mounts nothing
		return m.Run()
	}
	if os.Getenv(inside) == "" {
		return runAgain(namespaces)
	}
	// A kernel may give a user namespace, and then nothing may be mounted there.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return refused(err)
	}
	leaveInherited()
	if namespaces&unix.CLONE_NEWNET != 0 {
		if err := raiseLoopback(); err != nil {
			fmt.Fprintln(os.Stderr, "raising the loopback device:", err)
			return 1
		}
	}
	return m.Run()
}

// leaveInherited unmounts, in this namespace alone, the volumes of drivers that run outside of it: a
// driver under test would take them for an earlier one's. Who may not unmount them keeps them.
func leaveInherited() {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " - tmpfs leoflow-secrets-csi ") {
			_ = unix.Unmount(strings.Fields(line)[4], unix.MNT_DETACH)
		}
	}
}

func runAgain(namespaces uintptr) int {
	command := exec.CommandContext(context.Background(), "/proc/self/exe", os.Args[1:]...)
	command.Args[0] = os.Args[0]
	command.Env = append(os.Environ(), inside+"=1")
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = testneed.Namespaces(namespaces)
	command.SysProcAttr.Pdeathsig = unix.SIGKILL
	runtime.LockOSThread() // the child's death signal comes when this thread ends
	defer runtime.UnlockOSThread()
	if err := command.Start(); err != nil {
		return refused(err)
	}
	err := command.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "running tests in a mount namespace:", err)
		return 1
	}
	return 0
}

// refused tells a kernel that gives no namespace (by a setting, a security module, or
// because it has none) from what else may go wrong.
func refused(err error) int {
	for _, refusal := range []error{unix.EPERM, unix.EACCES, unix.ENOSPC, unix.EINVAL, unix.ENOSYS} {
		if errors.Is(err, refusal) {
			return testneed.MissingForAll(testneed.NoNamespace(err))
		}
	}
	fmt.Fprintln(os.Stderr, "making a mount namespace for tests:", err)
	return 1
}

func raiseLoopback() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}
