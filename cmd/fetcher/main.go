// Command fetcher is the half of the node daemon that asks: it fetches from core, stores and clouds what
// the driver wants for pods, watches for changes, and tells Kubernetes and Prometheus of both. It has the
// network, and no rights on the node.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/daemon"
	"github.com/leoflow/secrets-csi/internal/fetch"
	"github.com/leoflow/secrets-csi/internal/metric"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam/wire"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func main() { os.Exit(program().Run(func() error { return nil })) }

func program() cli.Program { return programOf(terminationLog) }

// programOf leaves its last words there.
func programOf(words lastWords) cli.Program {
	return cli.Program{
		Name:     "fetcher",
		Summary:  "fetcher asks for what driver mounts: Airflow connections and variables, for pods as files.",
		Commands: []cli.Command{completeCommand(words), doctorCommand(), awaitRolloutCommand(), checkUnusedCommand()},
		Main: &cli.Command{
			Name:    "fetcher",
			Summary: "fetcher asks for what driver mounts: Airflow connections and variables, for pods as files.",
			Details: `It runs beside every driver, as a user without any right, and connects to it at
--fetcher-socket until it gets SIGTERM. It has the sources, the policy and the network;
it answers probes and Prometheus for both, and writes the events of pods.

Where no driver can run, it fills the directory of --into instead, as a volume is filled,
with the pod's own token: once, or with --watch for as long as the pod lives. It exits with 3
where that is refused, 4 where a source cannot be asked.`,
			Examples: `# in a DaemonSet, beside a driver
fetcher --node-id=$(NODE_NAME) --core-address=leoflow-core.leoflow.svc:7443 --core-ca=/etc/leoflow/ca.crt --health-address=:9808
# in a pod without a driver, as a sidecar
fetcher --into=/secrets --watch --connections=warehouse --token-file=/var/run/leoflow/token --core-address=leoflow-core.leoflow.svc:7443 --core-ca=/etc/leoflow/ca.crt
# on a developer's machine, once, from an export file
fetcher --into=/dev/shm/leoflow --connections="*" --file-connections=connections.yaml
# on a developer's machine, beside a driver and without core
fetcher --fetcher-socket=/tmp/leoflow/fetcher.sock --file-connections=connections.yaml --log-format=text`,
			Failed: words.say,
			Bind: func(flags *flag.FlagSet) cli.Run {
				s := settings{into: intoSettings{lastWords: words}}
				s.bind(flags)
				return func(ctx context.Context, streams cli.Streams, _ []string) error { return run(ctx, streams, s) }
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
	metrics := metric.New()
	sources, err := s.providers(log, metrics)
	if err != nil {
		return err
	}
	resolver, err := s.resolver(&sources)
	if err == nil {
		err = s.openRecorder(&sources, log)
	}
	switch {
	case err != nil:
	case s.into.directory != "":
		err = runInto(ctx, s, sources, resolver, metrics, log)
	default:
		err = serve(ctx, s, sources, resolver, metrics, log)
	}
	return errors.Join(err, sources.close())
}

// sink takes what the driver reports.
type sink struct {
	*metric.Metrics
	report.Recorder
}

// serve runs until ctx ends, or until one part fails and takes the others with it. What can
// fail at the start does before anything runs.
func serve(ctx context.Context, s settings, sources sources, resolver provider.Resolver, metrics *metric.Metrics, log *slog.Logger) error {
	readers := report.Complete(report.Readers{Log: log, Observer: metrics.Fetcher(), Recorder: sources.recorder})
	fetcher := s.fetcher(sources, resolver, readers)
	seam := wire.NewServer(wire.ServerConfig{
		Socket: s.shared.FetcherSocket, Fetcher: bounded{fetcher, newBudget()}, Sink: sink{metrics, readers.Recorder}, Readers: readers,
	})
	node := func(ctx context.Context) (report.Node, error) { return nodeOf(ctx, seam) }
	ready := func(ctx context.Context) error {
		found, err := node(ctx)
		if err == nil && found.NotReady != "" {
			err = errors.New(found.NotReady)
		}
		return err
	}
	metrics.Watch(node)
	if s.coreCert != "" {
		metrics.Certificate(s.coreCert)
	}
	removeTaint, err := s.taintRemover(ready, log)
	if err != nil {
		return err
	}
	sites, err := s.listenHTTP(ctx, ready, metrics, log)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, site := range sites {
		group.Go(func() error { return site.Serve(ctx) })
	}
	group.Go(func() error { removeTaint(ctx); return nil })
	group.Go(func() error { return seam.Run(ctx) })
	return daemon.WaitFor(ctx, group.Wait, daemon.Deadline)
}

func (s *settings) fetcher(sources sources, resolver provider.Resolver, readers report.Readers) *fetch.Fetcher {
	identities, _ := resolver.(fetch.Identities)
	return fetch.New(fetch.Config{
		Providers:  sources.byName,
		Names:      sources.names,
		Resolver:   resolver,
		Identities: identities,
		// The provider gives up first, because it knows what it waited for.
		FetchTimeout: s.fetchTimeout + time.Second,
		OfflineGrace: s.offlineGrace,
		Readers:      readers,
	})
}

// nodeOf is how the driver says that the node is.
func nodeOf(ctx context.Context, seam *wire.Server) (node report.Node, err error) {
	state, err := seam.State(ctx)
	if err != nil {
		return report.Node{}, err
	}
	if err := json.Unmarshal(state, &node); err != nil {
		return report.Node{}, fmt.Errorf("reading how the driver is: %w", err)
	}
	return node, nil
}
