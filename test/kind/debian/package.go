// Package debian installs what the node takes from the distribution.
package debian

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// packages have the programs that the node runs and that are not built here.
var packages = map[string]string{
	"busybox":    "busybox-static",
	"containerd": "containerd",
	"ctr":        "containerd",
	"ip":         "iproute2",
	"iptables":   "iptables",
	"nsenter":    "util-linux",
	"ptp":        "containernetworking-plugins",
	"runc":       "runc",
}

// directories are where the node looks for them, whatever PATH says.
var directories = []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/lib/cni"}

// Missing are the packages of the programs that are not there, however they might have
// come.
func Missing() []string {
	var missing []string
	for program, name := range packages {
		if !isInstalled(program) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

func isInstalled(program string) bool {
	return slices.ContainsFunc(directories, func(directory string) bool {
		_, err := os.Stat(filepath.Join(directory, program))
		return err == nil
	})
}

// Install gets the packages from wherever the machine's apt gets its own.
func Install(ctx context.Context, names []string, progress io.Writer) error {
	if len(names) == 0 {
		return nil
	}
	_, _ = fmt.Fprintf(progress, "installing %s\n", strings.Join(names, " "))
	const patience = "-oDPkg::Lock::Timeout=300" // another apt may be at work
	for _, words := range [][]string{
		{"update", "-qq"},
		append([]string{"install", "-qq", "--no-install-recommends"}, names...),
	} {
		command := exec.CommandContext(ctx, "apt-get", append([]string{patience}, words...)...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("installing %s: %w: %s", strings.Join(names, ", "), err, output)
		}
	}
	return nil
}
