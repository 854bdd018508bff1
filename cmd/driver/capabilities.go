package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// keptCapabilities are what it takes to mount, and to give files to a pod's fsGroup.
const keptCapabilities uint64 = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_CHOWN

// dropCapabilities makes the process begin again without the capabilities that it has
// no use for. Kubernetes allows Bidirectional mounts in privileged containers alone, and
// container runtimes give those every capability, whatever the pod says. Capabilities
// belong to threads, of which Go has several by now; only through exec do they all lose
// them.
func dropCapabilities() error {
	held, err := heldCapabilities()
	if err != nil {
		return err
	}
	// Whoever left out the right to drop them chose those that it has.
	if held&^keptCapabilities == 0 || held&(1<<unix.CAP_SETPCAP) == 0 {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := dropFromThread(held & keptCapabilities); err != nil {
		return fmt.Errorf("dropping capabilities: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the program to begin again: %w", err)
	}
	return fmt.Errorf("beginning again: %w", syscall.Exec(self, os.Args, os.Environ())) //nolint:gosec // it is this very program
}

func heldCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return 0, fmt.Errorf("reading capabilities: %w", err)
	}
	return uint64(sets[1].Effective)<<32 | uint64(sets[0].Effective), nil
}

// dropFromThread leaves root's programs that this thread becomes with keep: they get
// what is in the bounding or the inheritable set.
func dropFromThread(keep uint64) error {
	for capability := range uintptr(64) {
		if keep&(1<<capability) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // past the last one that this kernel knows
			break
		}
		if err != nil {
			return err
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	sets := [2]unix.CapUserData{
		{Effective: uint32(keep), Permitted: uint32(keep)},
		{Effective: uint32(keep >> 32), Permitted: uint32(keep >> 32)},
	}
	return unix.Capset(&header, &sets[0])
}
