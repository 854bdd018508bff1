package main

import (
	"errors"
	"flag"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/daemon"
)

// minVolumeSize holds the files of an empty delivery and one small entry, of which
// each takes a page, twice: the next generation is written beside the last.
const minVolumeSize cli.Size = 64 << 10

// settings are the flags.
type settings struct {
	nodeID          string
	endpoint        string
	registrationDir string
	kubeletEndpoint string
	fetcherSocket   string
	fetcherUID      int
	pprofAddress    string
	coreAudience    string

	volumeSize    cli.Size
	pollEvery     time.Duration
	minRefresh    time.Duration
	maxIDs        int
	shutdownGrace time.Duration

	logFormat string
	logLevel  string
}

func (s *settings) bind(flags *flag.FlagSet) {
	flags.StringVar(&s.nodeID, "node-id", "", "the `name` of this node in Kubernetes")
	flags.StringVar(&s.endpoint, "endpoint", "unix:///csi/csi.sock", "the unix `socket` to serve CSI on")
	flags.StringVar(&s.registrationDir, "registration-dir", "", "kubelet's plugins_registry `directory`, to register there; empty to not register")
	flags.StringVar(&s.kubeletEndpoint, "kubelet-endpoint", "", "the CSI socket's `path` as kubelet sees it, where that is not --endpoint")
	flags.StringVar(&s.fetcherSocket, "fetcher-socket", daemon.FetcherSocket, "the `path` of the unix socket on which driver and fetcher meet: the driver listens, the fetcher connects")
	flags.IntVar(&s.fetcherUID, "fetcher-uid", daemon.FetcherUID, "the user `id` that the fetcher runs under; nobody else is listened to there")
	flags.StringVar(&s.pprofAddress, "pprof-address", "", "the unix:// `socket` to serve Go's profiles on under /debug/pprof/; empty for none")
	flags.StringVar(&s.coreAudience, "core-audience", csi.CoreAudience, "the `audience` of the pods' tokens for core, as in tokenRequests of the CSIDriver")

	s.volumeSize = 16 << 20
	flags.Var(&s.volumeSize, "volume-size", "the `size` that the files of each pod's volume may take, such as 4Mi")
	flags.DurationVar(&s.pollEvery, "poll-every", 30*time.Second, "how often to look for changes where core does not tell of them")
	flags.DurationVar(&s.minRefresh, "min-refresh", 5*time.Second, "how long to leave a volume alone that nothing calls for, for each 100 ids that it has or a part of them; a shorter refresh becomes that")
	flags.IntVar(&s.maxIDs, "max-ids", 2000, "the greatest `number` of ids that a new volume may list")
	flags.DurationVar(&s.shutdownGrace, "shutdown-grace", 20*time.Second, "how long calls in flight may take to finish after SIGTERM")

	flags.StringVar(&s.logFormat, "log-format", "json", "the log's `format`: json or text")
	flags.StringVar(&s.logLevel, "log-level", "info", "the log's `level`: debug, info, warn or error; SIGUSR1 switches to debug and back")
}

// check says everything that is wrong with the settings at once.
func (s *settings) check() error {
	var mistakes []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			mistakes = append(mistakes, cli.Usagef(format, args...))
		}
	}
	refuse(s.nodeID == "", "--node-id is needed; in a pod take it from the field spec.nodeName")
	refuse(len(s.nodeID) > 253, "--node-id has %d characters; a node's name has 253 at most", len(s.nodeID))
	refuse(!filepath.IsAbs(socketPath(s.endpoint)), "--endpoint %q is not an absolute path or unix:// URL", s.endpoint)
	refuse(s.registrationDir != "" && !filepath.IsAbs(s.registrationDir), "--registration-dir %q is not an absolute path", s.registrationDir)
	refuse(s.kubeletEndpoint != "" && !filepath.IsAbs(s.kubeletEndpoint), "--kubelet-endpoint %q is not an absolute path", s.kubeletEndpoint)
	refuse(s.kubeletEndpoint != "" && s.registrationDir == "", "--kubelet-endpoint is for registering; give --registration-dir too")
	refuse(!filepath.IsAbs(s.fetcherSocket), "--fetcher-socket %q is not an absolute path", s.fetcherSocket)
	refuse(s.fetcherUID < 0 || s.fetcherUID >= 1<<32-1, "--fetcher-uid %d is not a user id", s.fetcherUID)
	refuse(s.pprofAddress != "" && !daemon.IsSocket(s.pprofAddress), "--pprof-address %q is not a unix:// socket, and the driver has no network", s.pprofAddress)
	refuse(s.coreAudience == "", "--core-audience must not be empty")
	refuse(s.volumeSize < minVolumeSize, "--volume-size %v is too small; %v is the least", s.volumeSize, minVolumeSize)
	refuse(s.pollEvery < time.Second, "--poll-every must be 1s at least")
	refuse(s.minRefresh < time.Second || s.minRefresh > time.Hour, "--min-refresh must be 1s to 1h")
	refuse(s.maxIDs < 1, "--max-ids must be 1 at least")
	refuse(s.shutdownGrace < 0, "--shutdown-grace must not be negative")
	if _, _, err := cli.NewLogger(io.Discard, s.logFormat, s.logLevel); err != nil {
		refuse(true, "%v", err)
	}
	if len(mistakes) == 0 {
		return nil
	}
	return &cli.ExitError{Code: cli.Misuse, Err: errors.Join(mistakes...)}
}

// socketPath takes the endpoint as CSI writes it, and as a plain path.
func socketPath(endpoint string) string { return strings.TrimPrefix(endpoint, "unix://") }
