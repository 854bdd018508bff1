package csi

import (
	"context"
	"errors"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/leoflow/secrets-csi/internal/excerpt"
)

// Live tells whether a call to the CSI socket is answered, by making one. What it
// finds wrong a restart mends.
func (s *Server) Live(ctx context.Context) error {
	conn, err := grpc.NewClient("unix:"+s.Endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("dialling %s: %w", s.Endpoint, err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := csi.NewIdentityClient(conn).Probe(ctx, &csi.ProbeRequest{}); err != nil {
		return fmt.Errorf("the CSI socket %s does not answer: %s", s.Endpoint, status.Convert(err).Message())
	}
	return s.kept()
}

// kept tells whether the paths lead to the sockets that this Server made, where it serves.
func (s *Server) kept() error {
	if sockets := s.sockets.Load(); sockets != nil {
		for _, socket := range *sockets {
			if err := socket.Lost(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Registrable tells whether kubelet can find the driver in RegistrationDir, by asking there
// as kubelet does.
func (s *Server) Registrable(ctx context.Context) error {
	path := s.registrationPath()
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("dialling %s: %w", path, err)
	}
	defer func() { _ = conn.Close() }()
	info, err := registration.NewRegistrationClient(conn).GetInfo(ctx, &registration.InfoRequest{})
	switch {
	case err != nil:
		return fmt.Errorf("the registration socket %s does not answer: %s", path, status.Convert(err).Message())
	case info.GetName() != Name:
		return fmt.Errorf("the registration socket %s is that of %s", path, excerpt.Quote(info.GetName()))
	}
	return nil
}

// Ready tells whether pods can be served: the driver is live, and kubelet has taken its
// registration. Core is no part of it. Pods that have their files need no core, and
// without the driver kubelet could not even unmount them.
func (s *Server) Ready(ctx context.Context) error {
	if err := s.Live(ctx); err != nil {
		return err
	}
	if s.RegistrationDir == "" {
		return nil
	}
	if err := s.Registrable(ctx); err != nil {
		return err
	}
	switch outcome := s.registration.Load(); {
	case outcome == nil:
		return fmt.Errorf("kubelet has not registered the driver yet; it looks for sockets in its plugins_registry, which must be %s here", s.RegistrationDir)
	case !outcome.GetPluginRegistered():
		return errors.New("kubelet refused the registration: " + outcome.GetError())
	}
	return nil
}
