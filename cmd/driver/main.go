// Command driver is the half of the node daemon that mounts: it serves CSI to kubelet and keeps what
// the fetcher brings on a tmpfs for each pod. It has the rights for that, and no network.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/daemon"
	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/seam/wire"
	"github.com/leoflow/secrets-csi/internal/unixsocket"
)

func main() { os.Exit(program().Run(confine)) }

func program() cli.Program {
	return cli.Program{
		Name:     "driver",
		Summary:  "driver mounts what fetcher brings: Airflow connections and variables, for pods as files.",
		Commands: []cli.Command{doctorCommand()},
		Main: &cli.Command{
			Name:    "driver",
			Summary: "driver mounts what fetcher brings: Airflow connections and variables, for pods as files.",
			Details: `It runs on every node, as root, and serves CSI to kubelet until it gets SIGTERM.
The volumes it has mounted outlive it. Of root's capabilities it keeps SYS_ADMIN and
CHOWN, and it enters a network namespace in which there is nothing. Whatever is to be
asked the fetcher asks, which connects to --fetcher-socket.`,
			Examples: `# in a DaemonSet, beside a fetcher
driver --node-id=$(NODE_NAME) --registration-dir=/registration --kubelet-endpoint=/var/lib/kubelet/plugins/secrets.csi.leoflow.io/csi.sock
# on a developer's machine, beside a fetcher of the same user
driver --node-id=here --endpoint=/tmp/leoflow/csi.sock --fetcher-socket=/tmp/leoflow/fetcher.sock --fetcher-uid=0 --log-format=text`,
			Bind: func(flags *flag.FlagSet) cli.Run {
				var s settings
				s.bind(flags)
				return func(ctx context.Context, streams cli.Streams, _ []string) error {
					return run(ctx, streams, s)
				}
			},
		},
	}
}

func run(ctx context.Context, streams cli.Streams, s settings) error {
	if err := s.check(); err != nil {
		return err
	}
	log, stop, err := s.shared.Start(streams.Err, s.pprofAddress != "")
	if err != nil {
		return err
	}
	defer stop()
	return serve(ctx, s, log)
}

// parts are what the program is made of.
type parts struct {
	reports   *wire.Reports
	seam      *wire.Driver
	deliverer *deliver.Deliverer
	server    *csi.Server
}

func newParts(s settings, log *slog.Logger) *parts {
	p := &parts{reports: &wire.Reports{}}
	readers := report.Readers{Log: log, Observer: p.reports, Recorder: p.reports}
	memory, charged := s.newBudget(log)
	p.seam = wire.NewDriver(wire.DriverConfig{
		Fetcher: uint32(s.fetcherUID), Readers: readers,
		Returned: func() { p.deliverer.FetcherReturned() },
	})
	p.deliverer = deliver.New(deliver.Config{
		Fetcher:    p.seam,
		Budget:     memory,
		Charged:    charged,
		VolumeSize: int64(s.volumeSize),
		PollEvery:  s.pollEvery,
		MinRefresh: s.minRefresh,
		Readers:    readers,
	})
	p.server = &csi.Server{
		Endpoint:        socketPath(s.endpoint),
		RegistrationDir: s.registrationDir,
		KubeletEndpoint: s.kubeletEndpoint,
		Grace:           s.shutdownGrace,
		Driver: csi.Config{
			NodeID:    s.nodeID,
			Deliverer: p.deliverer,
			Providers: p.sources,
			MaxIDs:    s.maxIDs,
			Audience:  s.coreAudience,
			Logger:    log,
			Observer:  p.reports,
		},
	}
	return p
}

// comesWithin is how long a publish waits for the first fetcher. Kubelet starts both containers at once.
const comesWithin = 10 * time.Second

// sources are those of the fetcher, once there was one.
func (p *parts) sources(ctx context.Context) ([]string, error) {
	timer := time.NewTimer(comesWithin)
	defer timer.Stop()
	select {
	case <-p.seam.Come():
		return p.seam.Sources(), nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, fmt.Errorf("%w: the node's fetcher has not come yet; its log says why", seam.ErrAway)
}

// serve runs until ctx ends, or until one part fails and takes the others with it. What can
// fail at the start does before anything runs.
func serve(ctx context.Context, s settings, log *slog.Logger) error {
	p := newParts(s, log)
	socket, err := unixsocket.Listen(ctx, s.shared.FetcherSocket, s.fetcherUID)
	if err != nil {
		return err
	}
	sites, err := daemon.ListenProfiles(ctx, s.pprofAddress, log)
	if err != nil {
		_ = socket.Close()
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, site := range sites {
		group.Go(func() error { return site.Serve(ctx) })
	}
	group.Go(func() error { socket.Keep(ctx, unixsocket.LookEvery, log, func() {}); return nil })
	group.Go(func() error { return p.seam.Serve(ctx, socket) })
	group.Go(func() error { p.seam.Report(ctx, p.reports, p.state(ctx)); return nil })
	group.Go(func() error { return p.refresh(ctx) })
	group.Go(func() error { return p.server.Serve(ctx) })
	group.Go(func() error { return daemon.Watchdog(ctx, log, p.server.Live) })
	return daemon.WaitFor(ctx, group.Wait, s.shutdownGrace+daemon.Deadline)
}

// refresh keeps volumes fresh, of which there is none before the first fetcher.
func (p *parts) refresh(ctx context.Context) error {
	select {
	case <-p.seam.Come():
		return p.deliverer.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}
