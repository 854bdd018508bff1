package main

import (
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/daemon"
	"github.com/leoflow/secrets-csi/internal/doctor"
)

// doctorSettings are the driver's own flags, and some of how to examine.
type doctorSettings struct {
	settings
	asJSON  bool
	pid     int
	podsDir string
}

func doctorCommand() cli.Command {
	return cli.Command{
		Name:    "doctor",
		Summary: "Examines this node, and says what to do about what is wrong.",
		Details: `It checks kernel, mount propagation, the CSI socket, kubelet's registration and every
volume, and changes nothing; what takes a network 'fetcher doctor' checks. It takes the
driver's flags; without any, those of the driver that runs as --pid. It exits with 1 if a
check failed.`,
		Examples: `# in the driver's pod
kubectl -n leoflow exec ds/leoflow-driver -c driver -- /driver doctor
driver doctor --json`,
		TakesMain: true,
		Bind: func(flags *flag.FlagSet) cli.Run {
			var s doctorSettings
			s.bind(flags)
			flags.BoolVar(&s.asJSON, "json", false, "print JSON")
			flags.IntVar(&s.pid, "pid", 1, "the `process` whose flags to examine by, where none of the driver's is given")
			flags.StringVar(&s.podsDir, "pods-dir", "", "kubelet's `directory` of pods; empty for that beside the plugins of --kubelet-endpoint")
			return func(ctx context.Context, streams cli.Streams, _ []string) error {
				return s.run(ctx, streams.Out, flags)
			}
		},
	}
}

func (s *doctorSettings) run(ctx context.Context, out io.Writer, flags *flag.FlagSet) error {
	if !daemon.GivesAny(flags, "json", "pid", "pods-dir") {
		if err := daemon.Adopt("driver", s.pid, s.bind); err != nil {
			return err
		}
	}
	return doctor.Print(out, s.asJSON, doctor.Examine(ctx, s.node(), doctor.OfDriver()))
}

// node is what the flags say of the node.
func (s *doctorSettings) node() doctor.Node {
	endpoint := socketPath(s.endpoint)
	return doctor.Node{
		Kernel: kernelRelease(), Swap: hasSwap(),
		DriverName: csi.Name, Driver: &csi.Server{Endpoint: endpoint, RegistrationDir: s.registrationDir},
		Endpoint: endpoint, RegistrationDir: s.registrationDir, PodsDir: s.pods(),
	}
}

// pods is kubelet's directory of pods: ROOT/pods, of ROOT/plugins/NAME/csi.sock.
func (s *doctorSettings) pods() string {
	root, found := strings.CutSuffix(s.kubeletEndpoint, "/plugins/"+csi.Name+"/csi.sock")
	switch {
	case s.podsDir != "":
		return filepath.Clean(s.podsDir)
	case found:
		return filepath.Join(root, "pods")
	default:
		return "/var/lib/kubelet/pods"
	}
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

// hasSwap reads the list, which begins with a line of headings.
func hasSwap() bool {
	list, err := os.ReadFile("/proc/swaps")
	return err == nil && strings.Count(string(list), "\n") > 1
}
