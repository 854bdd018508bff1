// Command driver is the node daemon: it serves CSI to kubelet, fetches from core what
// pods ask for, and keeps it fresh on a tmpfs for each pod.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/fetch"
	"github.com/leoflow/secrets-csi/internal/metric"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func main() { os.Exit(program().Run(dropCapabilities)) }

func program() cli.Program {
	return cli.Program{
		Name:     "driver",
		Summary:  "driver delivers Airflow connections and variables to pods as files.",
		Commands: []cli.Command{doctorCommand(), awaitRolloutCommand(), checkUnusedCommand()},
		Main: &cli.Command{
			Name:    "driver",
			Summary: "driver delivers Airflow connections and variables to pods as files.",
			Details: `It runs on every node, as root, and serves CSI to kubelet until it gets SIGTERM.
The volumes it has mounted outlive it. Of root's capabilities it keeps SYS_ADMIN and
CHOWN, so the files it is given have to be root's or readable by all.`,
			Examples: `# in a DaemonSet
driver --node-id=$(NODE_NAME) --core-address=core.leoflow:9443 --core-ca=/etc/leoflow/ca.crt --registration-dir=/registration --kubelet-endpoint=/var/lib/kubelet/plugins/secrets.csi.leoflow.io/csi.sock
# on a developer's machine, without core
driver --node-id=here --endpoint=/tmp/leoflow/csi.sock --file-connections=connections.yaml --log-format=text`,
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
	if err := cli.KeepMemoryPrivate(); err != nil {
		return err
	}
	s.spareMemory()
	log, level, err := cli.NewLogger(streams.Err, s.logFormat, s.logLevel)
	if err != nil {
		return err
	}
	defer followSignals(log, level)()
	metrics := metric.New()
	sources, err := s.providers(log, metrics)
	if err != nil {
		return err
	}
	resolver, err := s.resolver(&sources)
	if err == nil {
		err = s.openRecorder(&sources, log)
	}
	if err == nil {
		err = serve(ctx, s, sources, resolver, metrics, log)
	}
	return errors.Join(err, sources.close())
}

// serve runs until ctx ends, or until one part fails and takes the others with it. What can
// fail at the start does before anything runs.
func serve(ctx context.Context, s settings, sources sources, resolver provider.Resolver, metrics *metric.Metrics, log *slog.Logger) error {
	readers := report.Readers{Log: log, Observer: metrics.Delivery(), Recorder: sources.recorder}
	fetcher := fetch.New(fetch.Config{
		Providers: sources.byName,
		Resolver:  resolver,
		// The provider gives up first, because it knows what it waited for.
		FetchTimeout: s.fetchTimeout + time.Second,
		OfflineGrace: s.offlineGrace,
		Readers:      readers,
	})
	memory, charged := s.newBudget(log)
	deliverer := deliver.New(deliver.Config{
		Fetcher:    fetcher,
		Budget:     memory,
		Charged:    charged,
		VolumeSize: int64(s.volumeSize),
		PollEvery:  s.pollEvery,
		MinRefresh: s.minRefresh,
		Readers:    readers,
	})
	server := &csi.Server{
		Endpoint:        socketPath(s.endpoint),
		RegistrationDir: s.registrationDir,
		KubeletEndpoint: s.kubeletEndpoint,
		Grace:           s.shutdownGrace,
		Driver: csi.Config{
			NodeID:    s.nodeID,
			Deliverer: deliverer,
			Providers: sources.names,
			MaxIDs:    s.maxIDs,
			Audience:  s.coreAudience,
			Logger:    log,
			Observer:  metrics.Driver(),
		},
	}
	metrics.Watch(deliverer, sources.names, server.Ready)
	if s.coreCert != "" {
		metrics.Certificate(s.coreCert)
	}
	removeTaint, err := s.taintRemover(server.Ready, log)
	if err != nil {
		return err
	}
	sites, err := s.listenHTTP(ctx, server, metrics, log)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, site := range sites {
		group.Go(func() error { return site.Serve(ctx) })
	}
	group.Go(func() error { removeTaint(ctx); return nil })
	group.Go(func() error { return deliverer.Run(ctx) })
	group.Go(func() error { return server.Serve(ctx) })
	group.Go(func() error { return watchdog(ctx, log, server.Live) })
	return waitFor(ctx, group.Wait, s.shutdownGrace+deadline)
}
