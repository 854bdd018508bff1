package main

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// keptCapabilities are what it takes to mount, and to give files to a pod's fsGroup.
const keptCapabilities uint64 = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_CHOWN

// confine makes the process begin again without the capabilities that it has no use for, and in a
// network namespace in which there is nothing. Kubernetes allows Bidirectional mounts in privileged
// containers alone, and container runtimes give those every capability, whatever the pod says; and the
// containers of a pod share one network. Both belong to threads, of which Go has several by now; only
// through exec do they all change.
func confine() error {
	held, err := heldCapabilities()
	if err != nil {
		return err
	}
	// Whoever left out the right to drop them chose those that it has.
	hasMore := held&^keptCapabilities != 0 && held&(1<<unix.CAP_SETPCAP) != 0
	isConnected, err := hasNetwork()
	if err != nil {
		return err
	}
	// Without the right to mount it is no driver, such as where it prints its help.
	isConnected = isConnected && held&(1<<unix.CAP_SYS_ADMIN) != 0
	if !hasMore && !isConnected {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if isConnected {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("leaving the network: %w", err)
		}
	}
	if hasMore {
		if err := dropFromThread(held & keptCapabilities); err != nil {
			return fmt.Errorf("dropping capabilities: %w", err)
		}
	}
	return cli.BeginAgain()
}

// hasNetwork reports whether any interface is up. In a new namespace there are some, which the kernel
// makes in each, and none is.
func hasNetwork() (bool, error) {
	found, err := net.Interfaces()
	if err != nil {
		return false, fmt.Errorf("telling whether there is a network: %w", err)
	}
	return slices.ContainsFunc(found, func(one net.Interface) bool { return one.Flags&net.FlagUp != 0 }), nil
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
