package main

import (
	"flag"
	"path/filepath"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/daemon"
)

// settings are the flags.
type settings struct {
	shared daemon.Flags

	nodeID          string
	endpoint        string
	registrationDir string
	kubeletEndpoint string
	fetcherUID      int
	pprofAddress    string
	coreAudience    string

	volumeSize    cli.Size
	pollEvery     time.Duration
	minRefresh    time.Duration
	maxIDs        int
	shutdownGrace time.Duration
}

func (s *settings) bind(flags *flag.FlagSet) {
	s.shared.Bind(flags)
	flags.StringVar(&s.nodeID, "node-id", "", "the `name` of this node in Kubernetes")
	flags.StringVar(&s.endpoint, "endpoint", "unix:///csi/csi.sock", "the unix `socket` to serve CSI on")
	flags.StringVar(&s.registrationDir, "registration-dir", "", "kubelet's plugins_registry `directory`, to register there; empty to not register")
	flags.StringVar(&s.kubeletEndpoint, "kubelet-endpoint", "", "the CSI socket's `path` as kubelet sees it, where that is not --endpoint")
	flags.IntVar(&s.fetcherUID, "fetcher-uid", daemon.FetcherUID, "the user `id` that the fetcher runs under; nobody else is listened to there")
	flags.StringVar(&s.pprofAddress, "pprof-address", "", "the unix:// `socket` to serve Go's profiles on under /debug/pprof/; empty for none")
	flags.StringVar(&s.coreAudience, "core-audience", csi.CoreAudience, "the `audience` of the pods' tokens for core, as in tokenRequests of the CSIDriver")

	s.volumeSize = 16 << 20
	flags.Var(&s.volumeSize, "volume-size", "the `size` that the files of each pod's volume may take, such as 4Mi")
	flags.DurationVar(&s.pollEvery, "poll-every", 30*time.Second, "how often to look for changes where core does not tell of them")
	flags.DurationVar(&s.minRefresh, "min-refresh", 5*time.Second, "how long to leave a volume alone that nothing calls for, for each 100 ids that it has or a part of them; a shorter refresh becomes that")
	flags.IntVar(&s.maxIDs, "max-ids", 2000, "the greatest `number` of ids that a new volume may list")
	flags.DurationVar(&s.shutdownGrace, "shutdown-grace", 20*time.Second, "how long calls in flight may take to finish after SIGTERM")
}

// check says everything that is wrong with the settings at once.
func (s *settings) check() error {
	var mistakes cli.Mistakes
	mistakes.If(s.nodeID == "", "--node-id is needed; in a pod take it from the field spec.nodeName")
	mistakes.If(len(s.nodeID) > 253, "--node-id has %d characters; a node's name has 253 at most", len(s.nodeID))
	mistakes.If(!filepath.IsAbs(socketPath(s.endpoint)), "--endpoint %q is not an absolute path or unix:// URL", s.endpoint)
	mistakes.If(s.registrationDir != "" && !filepath.IsAbs(s.registrationDir), "--registration-dir %q is not an absolute path", s.registrationDir)
	mistakes.If(s.kubeletEndpoint != "" && !filepath.IsAbs(s.kubeletEndpoint), "--kubelet-endpoint %q is not an absolute path", s.kubeletEndpoint)
	mistakes.If(s.kubeletEndpoint != "" && s.registrationDir == "", "--kubelet-endpoint is for registering; give --registration-dir too")
	s.shared.Check(&mistakes)
	mistakes.If(s.fetcherUID < 0 || s.fetcherUID >= 1<<32-1, "--fetcher-uid %d is not a user id", s.fetcherUID)
	mistakes.If(s.pprofAddress != "" && !daemon.IsSocket(s.pprofAddress), "--pprof-address %q is not a unix:// socket, and the driver has no network", s.pprofAddress)
	mistakes.If(s.coreAudience == "", "--core-audience must not be empty")
	mistakes.If(s.volumeSize < daemon.MinVolumeSize, "--volume-size %v is too small; %v is the least", s.volumeSize, daemon.MinVolumeSize)
	mistakes.If(s.pollEvery < time.Second, "--poll-every must be 1s at least")
	mistakes.If(s.minRefresh < time.Second || s.minRefresh > time.Hour, "--min-refresh must be 1s to 1h")
	mistakes.If(s.maxIDs < 1, "--max-ids must be 1 at least")
	mistakes.If(s.shutdownGrace < 0, "--shutdown-grace must not be negative")
	return mistakes.Err()
}

// socketPath takes the endpoint as CSI writes it, and as a plain path.
func socketPath(endpoint string) string { return strings.TrimPrefix(endpoint, "unix://") }
