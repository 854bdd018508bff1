package fault

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ownNetwork marks the environment of the process that has a network of its own.
const ownNetwork = "LEOFLOW_FAULT_NETWORK"

// inOwnNetwork runs the test binary once more in a network namespace, so that what is
// cut there is cut nowhere else. It needs root; done is false inside.
func inOwnNetwork() (code int, done bool) {
	if os.Getenv(ownNetwork) != "" {
		if err := raiseLoopback(); err != nil {
			fmt.Fprintln(os.Stderr, "raising the loopback device:", err)
			return 1, true
		}
		return 0, false
	}
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Args[0] = os.Args[0]
	command.Env = append(os.Environ(), ownNetwork+"=1")
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	runtime.LockOSThread() // the child's death signal comes when this thread ends
	defer runtime.UnlockOSThread()
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode(), true
	case err != nil:
		fmt.Fprintln(os.Stderr, "running tests in a network namespace (needs root):", err)
		return 1, true
	}
	return 0, true
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

// cut drops every packet to and from core, and returns what ends that.
func cut(t *testing.T, r *rig) (mend func()) {
	t.Helper()
	_, port, err := net.SplitHostPort(r.Address())
	require.NoError(t, err)
	rule := func(verb string) {
		for _, end := range []string{"--dport", "--sport"} {
			out, err := exec.Command("iptables", verb, "INPUT", "-p", "tcp", end, port, "-j", "DROP").CombinedOutput()
			require.NoError(t, err, string(out))
		}
	}
	rule("-I")
	return func() { rule("-D") }
}

func TestNetworkCutForASecond(t *testing.T) {
	r := newRig(t)
	row := r.row("network between node and core dropped for a second", "iptables DROP in a network namespace")
	for range some() {
		mend := cut(t, r)
		r.rotate(t)
		pause(t, time.Second)
		mend()
		r.converge(t, row)
	}
	row.record(t)
}

func TestNetworkCutForLong(t *testing.T) {
	r := newRig(t, "--fetch-timeout=2s")
	row := r.row("network between node and core dropped for longer than anybody waits", "iptables DROP in a network namespace, for "+long.String())
	mend := cut(t, r)
	r.rotate(t)
	pause(t, *long)
	r.republish(t, row)
	mend()
	r.converge(t, row)
	row.record(t)
}
