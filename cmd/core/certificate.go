package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/certificate"
	"github.com/leoflow/secrets-csi/internal/kube"
)

// certificateFlags say where core keeps a certificate of its own.
type certificateFlags struct{ secret, trust, former, copied, names string }

func (f *certificateFlags) bind(flags *flag.FlagSet) {
	flags.StringVar(&f.secret, "certificate-secret", "", "the `Secret`, NAMESPACE/NAME, in which core keeps a certificate that it makes and renews itself, in the place of --cert and --key")
	flags.StringVar(&f.trust, "certificate-trust", "", "the `ConfigMap`, NAMESPACE/NAME, whose ca.crt drivers know that certificate by")
	flags.StringVar(&f.names, "certificate-names", "", "comma-separated `names` that the certificate is for")
	flags.StringVar(&f.former, "certificate-former", "", "a `Secret`, NAMESPACE/NAME, with the certificate of before, which is served until drivers know the new one")
	flags.StringVar(&f.copied, "certificate-copy", "", "the `folder` in which core's pod has that Secret, for a start while the API server is away")
}

// isHostName holds for what a certificate can be for.
var isHostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// misuse says whether core has one certificate, and all that it takes.
func (f certificateFlags) misuse(config coreserver.Config) error {
	isOwn, isFile := f.secret != "", config.Cert != "" && config.Key != ""
	switch {
	case isOwn && (config.Plaintext || config.Cert != "" || config.Key != ""):
		return cli.Usagef("--certificate-secret takes the place of --cert, --key and --plaintext-loopback; leave out one or the other")
	case !isOwn && f.trust+f.names+f.former+f.copied != "":
		return cli.Usagef("--certificate-trust, --certificate-names, --certificate-former and --certificate-copy go with --certificate-secret")
	case isOwn && (f.trust == "" || f.names == ""):
		return cli.Usagef("--certificate-secret goes with --certificate-trust and --certificate-names: drivers have to know it, and by a name")
	case !isOwn && !isFile && !config.Plaintext:
		return cli.Usagef("no certificate; give --cert and --key, or --certificate-secret (or, for development on a loopback address, --plaintext-loopback)")
	}
	return nil
}

// keep has the config serve with a certificate of core's own, if the flags say so. What it returns
// renews that from then on, and returns what ends it.
func (f certificateFlags) keep(ctx context.Context, config *coreserver.Config, kubeconfig string) (func(context.Context, func()) (stop func()), error) {
	if f.secret == "" {
		return func(context.Context, func()) func() { return func() {} }, nil
	}
	keeper, err := f.keeper(config, kubeconfig)
	if err != nil {
		return nil, err
	}
	if err := keeper.Start(ctx); err != nil {
		return nil, err
	}
	config.Pair = keeper.Pair
	if config.SealKey == nil && config.VersionSecret.Len() == 0 {
		config.VersionSecret = keeper.VersionKey()
	}
	return func(ctx context.Context, changed func()) func() {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		running.Go(func() { keeper.Run(ctx, changed) })
		return func() { cancel(); running.Wait() }
	}, nil
}

func (f certificateFlags) keeper(config *coreserver.Config, kubeconfig string) (*certificate.Keeper, error) {
	kept := certificate.Config{Copy: f.copied, Log: config.Log}
	for _, row := range []struct {
		name, value string
		into        *certificate.Object
	}{
		{"--certificate-secret", f.secret, &kept.Secret},
		{"--certificate-trust", f.trust, &kept.Trust},
		{"--certificate-former", f.former, &kept.Former},
	} {
		if row.value == "" {
			continue
		}
		var err error
		if row.into.Namespace, row.into.Name, err = halves(row.name, row.value, "NAMESPACE/NAME"); err != nil {
			return nil, err
		}
	}
	for name := range strings.SplitSeq(f.names, ",") {
		if name = strings.TrimSpace(name); !isHostName.MatchString(name) || net.ParseIP(name) != nil {
			return nil, cli.Usagef("--certificate-names=%s: want names of hosts in small letters", f.names)
		}
		kept.Names = append(kept.Names, name)
	}
	cluster, err := kube.Config(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--certificate-secret: %w", err)
	}
	kube.Observe(cluster, asksKubernetes(config))
	if kept.Objects, err = kube.NewObjects(cluster); err != nil {
		return nil, fmt.Errorf("--certificate-secret: %w", err)
	}
	return certificate.NewKeeper(kept), nil
}
