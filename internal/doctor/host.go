//go:build linux

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/leoflow/secrets-csi/pkg/mount"
)

// OfDriver are the checks that take the driver's rights and no network, in the order in which things
// depend on each other.
func OfDriver() []Check { return []Check{kernel, propagation, socket, registration, volumes} }

// kernel knows the releases that pkg/mount depends on: 5.8 tells mount points, 6.4
// keeps a tmpfs out of swap.
func kernel(_ context.Context, node Node) []Finding {
	const name = "kernel"
	var major, minor int
	if _, err := fmt.Sscanf(node.Kernel, "%d.%d", &major, &minor); err != nil {
		return warning(name, fmt.Sprintf("the release %q is in no form that is known", node.Kernel), "make sure that it is 5.8 or later")
	}
	release := major*1000 + minor
	switch {
	case release < 5008:
		return failed(name, node.Kernel+" does not tell a mount point", "run a node image with Linux 5.8 or later")
	case release < 6004 && node.Swap:
		return warning(name, node.Kernel+" cannot keep a tmpfs out of swap, and this node swaps", "turn swap off or encrypt it, or run Linux 6.4 or later")
	case release < 6004:
		return fine(name, node.Kernel+"; there is no swap that values could reach")
	default:
		return fine(name, node.Kernel+"; volumes stay out of swap")
	}
}

// propagation makes sure that what is mounted for a pod reaches the node.
func propagation(_ context.Context, node Node) []Finding {
	const name = "mount propagation"
	shared, err := mount.IsShared(node.PodsDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return failed(name, node.PodsDir+" does not exist here", "mount kubelet's directory of pods at the path it has on the node; the chart does from kubeletRootDir")
	case err != nil:
		return failed(name, err.Error(), "run this where the driver runs: kubectl exec into its pod")
	case !shared:
		return failed(name, node.PodsDir+" is not shared: what the driver mounts there, pods do not see", "give its volumeMount mountPropagation: Bidirectional, in a privileged container")
	}
	return fine(name, node.PodsDir+" is shared with the node")
}

func socket(ctx context.Context, node Node) []Finding {
	const name = "driver"
	if err := node.Driver.Live(ctx); err != nil {
		return failed(name, err.Error(), "look at the log of the driver's pod on this node, and whether there is such a pod")
	}
	return fine(name, node.Endpoint+" answers")
}

// registration looks whether kubelet could have found the driver.
func registration(ctx context.Context, node Node) []Finding {
	const name = "kubelet registration"
	if node.RegistrationDir == "" {
		return skipped(name, "--registration-dir is not given; something else has to register the driver")
	}
	if node.Driver.Live(ctx) != nil {
		return skipped(name, "kubelet cannot register a driver that does not answer")
	}
	if err := node.Driver.Registrable(ctx); err != nil {
		return failed(name, err.Error(), node.registrationRemedy())
	}
	return fine(name, "the driver answers in "+node.RegistrationDir+"; what kubelet made of it, 'fetcher doctor' tells")
}
