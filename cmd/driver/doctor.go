package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/csi"
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
		Summary: "examine this node and say what to do about what is wrong",
		Details: `It checks kernel, mount propagation, the CSI socket, kubelet's registration,
certificates, token, clock, core and every volume, and changes nothing. It takes the
driver's flags; without any, those of the driver that runs as --pid. It exits with 1 if a
check failed.`,
		Examples: `# in the driver's pod
kubectl -n leoflow exec ds/leoflow-driver -- /driver doctor
driver doctor --json`,
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
	if !givesAny(flags) {
		if err := s.adopt(); err != nil {
			return err
		}
	}
	findings := doctor.Examine(ctx, s.node())
	if err := s.print(out, findings); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if doctor.Worst(findings) == doctor.Failed {
		return &cli.ExitError{Code: cli.Failure}
	}
	return nil
}

// givesAny tells whether a flag of the driver is given. What the environment gives, as that
// of a container does which kubectl runs this in, it gives the driver too.
func givesAny(flags *flag.FlagSet) (given bool) {
	own := map[string]bool{"json": true, "pid": true, "pods-dir": true}
	flags.Visit(func(f *flag.Flag) {
		inherited, found := os.LookupEnv(cli.EnvName(f.Name))
		given = given || !own[f.Name] && (!found || f.Value.String() != inherited)
	})
	return given
}

// adopt takes the flags of the driver that runs, and the environment as the driver does.
func (s *doctorSettings) adopt() error {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.pid))
	if err != nil {
		return cli.Usagef("process %d cannot be looked at (%w): give the driver's flags, or --pid", s.pid, err)
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	flags := flag.NewFlagSet("driver", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	s.bind(flags)
	if err := flags.Parse(args[1:]); err != nil || filepath.Base(args[0]) != "driver" {
		return cli.Usagef("process %d is no driver: give the driver's flags, or --pid", s.pid)
	}
	return cli.FromEnvironment(flags)
}

// node is what the flags say of the node.
func (s *doctorSettings) node() doctor.Node {
	return doctor.Node{
		Kernel: kernelRelease(), Swap: hasSwap(),
		Endpoint: socketPath(s.endpoint), RegistrationDir: s.registrationDir,
		HealthAddress: s.healthAddress, PodsDir: s.pods(),
		Core: doctor.Core{
			Address: s.coreAddress, ServerName: s.coreServerName, CAFile: s.coreCA,
			CertFile: s.coreCert, KeyFile: s.coreKey, TokenFile: s.coreTokenFile,
			Audience: s.coreAudience, Plaintext: s.corePlaintextLoopback,
		},
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

func (s *doctorSettings) print(out io.Writer, findings []doctor.Finding) error {
	if s.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"state": doctor.Worst(findings), "findings": findings})
	}
	for _, finding := range findings {
		if _, err := fmt.Fprintf(out, "%-8s %s: %s\n", finding.State, finding.Check, finding.Detail); err != nil {
			return err
		}
		if finding.Remedy == "" {
			continue
		}
		if _, err := fmt.Fprintf(out, "         → %s\n", finding.Remedy); err != nil {
			return err
		}
	}
	return nil
}
