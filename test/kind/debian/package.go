// Package debian installs what the node takes from the distribution.
package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// files are the programs the node runs that are not built here, and their packages.
var files = map[string]string{
	"/bin/busybox":        "busybox-static",
	"/usr/bin/containerd": "containerd",
	"/usr/bin/nsenter":    "util-linux",
	"/usr/lib/cni/ptp":    "containernetworking-plugins",
	"/usr/sbin/ip":        "iproute2",
	"/usr/sbin/iptables":  "iptables",
	"/usr/sbin/runc":      "runc",
}

// Missing are the packages whose file is not there, however it might have come.
func Missing() []string {
	var missing []string
	for file, name := range files {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
		}
	}
	return missing
}

// Install gets the packages from wherever the machine's apt gets its own.
func Install(ctx context.Context, packages []string, progress io.Writer) error {
	if len(packages) == 0 {
		return nil
	}
	_, _ = fmt.Fprintf(progress, "installing %s\n", strings.Join(packages, " "))
	const patience = "-oDPkg::Lock::Timeout=300" // another apt may be at work
	for _, words := range [][]string{
		{"update", "-qq"},
		append([]string{"install", "-qq", "--no-install-recommends"}, packages...),
	} {
		command := exec.CommandContext(ctx, "apt-get", append([]string{patience}, words...)...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("installing %s: %w: %s", strings.Join(packages, ", "), err, output)
		}
	}
	return nil
}
