package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// inNamespace marks the environment of the demo that runs in namespaces of its own.
const inNamespace = "LEOFLOW_DEMO_NAMESPACE"

// mayMount reports whether this process has CAP_SYS_ADMIN; root in a container may not.
func mayMount() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&header, &data[0])
	return err == nil && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// runInNamespace runs the demo once more as root of a user and mount namespace of its
// own, where an unprivileged user may mount a tmpfs.
func runInNamespace(ctx context.Context) error {
	fmt.Println("You may not mount here, so this runs in a user and mount namespace of its own.")
	command := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.Env = append(os.Environ(), inNamespace+"=1")
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
		Setpgid:     true,
	}
	err := command.Run()
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) {
		return err // it has said what went wrong
	}
	return refused(err)
}

// leaveMountsOfOthersAlone is the first thing that a kernel refuses which gives a user
// namespace and no right in it, as Ubuntu's does.
func leaveMountsOfOthersAlone() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return refused(err)
	}
	return nil
}

func refused(err error) error {
	return fmt.Errorf("this kernel gives you no namespace to mount in (%w): "+
		"run 'sudo make demo', or allow it, for example by 'sudo sysctl kernel.unprivileged_userns_clone=1', "+
		"'sudo sysctl user.max_user_namespaces=10000' "+
		"or, on Ubuntu, 'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0'", err)
}
