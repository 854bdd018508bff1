package csi

import (
	"context"
	"log/slog"
	"sync/atomic"

	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

// csiVersion is the one protocol version that kubelet's CSI plugin manager knows.
const csiVersion = "1.0.0"

// registrar tells kubelet about the driver, by the protocol of kubelet's plugin
// watcher: kubelet finds the socket, asks GetInfo, and tells how registering went.
// This is all of what the node-driver-registrar sidecar does.
type registrar struct {
	registration.UnimplementedRegistrationServer
	// endpoint is the CSI socket as kubelet sees it.
	endpoint string
	// outcome receives what kubelet says.
	outcome *atomic.Pointer[registration.RegistrationStatus]
	log     *slog.Logger
}

func (r *registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              Name,
		Endpoint:          r.endpoint,
		SupportedVersions: []string{csiVersion},
	}, nil
}

// NotifyRegistrationStatus only notes and reports: while the socket is there kubelet tries again
// by itself.
func (r *registrar) NotifyRegistrationStatus(ctx context.Context, outcome *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	r.outcome.Store(outcome)
	if outcome.GetPluginRegistered() {
		r.log.InfoContext(ctx, "registered with kubelet", logkey.Path, r.endpoint)
	} else {
		r.log.ErrorContext(ctx, "kubelet refused the registration; it will try again",
			logkey.Path, r.endpoint, logkey.Error, outcome.GetError())
	}
	return &registration.RegistrationStatusResponse{}, nil
}
