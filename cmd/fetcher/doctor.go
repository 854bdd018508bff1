package main

import (
	"context"
	"flag"
	"io"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/daemon"
	"github.com/leoflow/secrets-csi/internal/doctor"
	"github.com/leoflow/secrets-csi/internal/seam"
)

// doctorSettings are the fetcher's own flags, and some of how to examine.
type doctorSettings struct {
	settings
	asJSON bool
	pid    int
}

func doctorCommand() cli.Command {
	return cli.Command{
		Name:    "doctor",
		Summary: "Examines what this node reaches, and says what to do about what is wrong.",
		Details: `It checks whether the node is ready, certificates, token, clock and core, and changes
nothing; the node itself 'driver doctor' checks. It takes the fetcher's flags; without any,
those of the fetcher that runs as --pid. It exits with 1 if a check failed.`,
		Examples: `# in the driver's pod
kubectl -n leoflow exec ds/leoflow-driver -c fetcher -- /fetcher doctor
fetcher doctor --json`,
		TakesMain: true,
		Bind: func(flags *flag.FlagSet) cli.Run {
			var s doctorSettings
			s.bind(flags)
			flags.BoolVar(&s.asJSON, "json", false, "print JSON")
			flags.IntVar(&s.pid, "pid", 1, "the `process` whose flags to examine by, where none of the fetcher's is given")
			return func(ctx context.Context, streams cli.Streams, _ []string) error {
				return s.run(ctx, streams.Out, flags)
			}
		},
	}
}

func (s *doctorSettings) run(ctx context.Context, out io.Writer, flags *flag.FlagSet) error {
	if !daemon.GivesAny(flags, "json", "pid", "core-audience") {
		if err := daemon.Adopt("fetcher", s.pid, s.bind); err != nil {
			return err
		}
	}
	return doctor.Print(out, s.asJSON, doctor.Examine(ctx, s.node(), doctor.OfFetcher()))
}

// node is what the flags say of the node.
func (s *doctorSettings) node() doctor.Node {
	return doctor.Node{
		DriverName:    seam.DriverName,
		HealthAddress: s.healthAddress,
		Core: doctor.Core{
			Address: s.coreAddress, ServerName: s.coreServerName, CAFile: s.coreCA,
			CertFile: s.coreCert, KeyFile: s.coreKey, TokenFile: s.coreTokenFile,
			Audience: s.into.audience, Plaintext: s.corePlaintextLoopback,
		},
	}
}
