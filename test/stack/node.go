package stack

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// isOfDriver tells the flags of the driver, and isOfBoth those that driver and fetcher have.
func isOfDriver(flag string) bool {
	return isOfBoth(flag) || slices.Contains([]string{
		"endpoint", "registration-dir", "kubelet-endpoint", "core-audience", "volume-size", "min-refresh", "max-ids", "shutdown-grace", "fetcher-uid",
	}, flag)
}

func isOfBoth(flag string) bool {
	return slices.Contains([]string{"node-id", "poll-every", "log-format", "log-level", "fetcher-socket"}, flag)
}

// argsOf are those of the flags that a program has, which are all for a driver that is alone.
func argsOf(args []string, has func(flag string) bool) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		return !has(name)
	})
}

// sourceArgs say how core is reached.
func (s *Stack) sourceArgs() []string {
	return []string{
		"--core-address=" + cmp.Or(s.options.CallAddress, s.address), "--core-server-name=core",
		"--core-ca=" + s.PKI.CA(), "--core-cert=" + s.path("node.crt"), "--core-key=" + s.path("node.key"),
	}
}

// hasFetcher reports whether the driver of DriverBin takes one.
func (s *Stack) hasFetcher() bool {
	_, err := os.Stat(filepath.Join(s.DriverBin, "fetcher"))
	return err == nil
}

// StartDriver starts the driver, and the fetcher unless one of the same build runs.
func (s *Stack) StartDriver(ctx context.Context) error {
	if err := s.endOtherFetcher(); err != nil {
		return err
	}
	args := []string{"--node-id=demo", "--endpoint=unix://" + s.Socket()}
	if s.hasFetcher() {
		args = append(args, "--fetcher-socket="+s.path("fetcher.sock"), fmt.Sprintf("--fetcher-uid=%d", os.Geteuid()))
		args = append(s.profiled(args, "driver"), argsOf(s.options.DriverArgs, isOfDriver)...)
	} else {
		args = slices.Concat(args, s.sourceArgs(), s.options.DriverArgs)
	}
	var err error
	if s.Driver, err = s.run(s.options.DriverUnder, filepath.Join(s.DriverBin, "driver"), args...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if _, err := s.Driver.WaitFor(ctx, `"msg":"serving"`); err != nil || !s.hasFetcher() {
		return err
	}
	if s.Fetcher == nil || s.Fetcher.HasEnded() {
		return s.StartFetcher(ctx)
	}
	_, err = s.Driver.WaitFor(ctx, theFetcherIsThere)
	return err
}

const theFetcherIsThere = "the fetcher is there"

// StartFetcher starts the fetcher, and returns once the driver knows it.
func (s *Stack) StartFetcher(ctx context.Context) error {
	args := s.profiled(append(s.sourceArgs(), "--node-id=demo", "--fetcher-socket="+s.path("fetcher.sock")), "fetcher")
	args = append(args, argsOf(s.options.DriverArgs, func(flag string) bool { return isOfBoth(flag) || !isOfDriver(flag) })...)
	before := strings.Count(s.Driver.Output(), theFetcherIsThere)
	under := s.options.FetcherUnder
	if under == nil {
		under = s.options.DriverUnder
	}
	var err error
	if s.Fetcher, err = s.run(under, filepath.Join(s.DriverBin, "fetcher"), args...); err != nil {
		return err
	}
	s.fetcherBin = s.DriverBin
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return s.Driver.waitForMore(ctx, theFetcherIsThere, before, s.Fetcher)
}

// endOtherFetcher ends a fetcher that is not of the driver that is to be started.
func (s *Stack) endOtherFetcher() error {
	if s.Fetcher == nil || s.fetcherBin == s.DriverBin {
		return nil
	}
	other := s.Fetcher
	s.Fetcher = nil
	if other.HasEnded() {
		return nil
	}
	return other.Stop()
}

func (s *Stack) profiled(args []string, name string) []string {
	if s.options.Profiles {
		args = append(args, "--pprof-address=unix://"+s.path(name+"-profiles.sock"))
	}
	return args
}

// NodeOutput is all that driver and fetcher have printed.
func (s *Stack) NodeOutput() string {
	if s.Fetcher == nil {
		return s.Driver.Output()
	}
	return s.Driver.Output() + s.Fetcher.Output()
}
