package driver

import (
	"context"
	"errors"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Live tells whether a call to the CSI socket is answered, by making one. What it
// finds wrong a restart mends: the socket was deleted under the driver, or the process
// no longer answers.
func (s *Server) Live(ctx context.Context) error {
	conn, err := grpc.NewClient("unix:"+s.Endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("dialling %s: %w", s.Endpoint, err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := csi.NewIdentityClient(conn).Probe(ctx, &csi.ProbeRequest{}); err != nil {
		return fmt.Errorf("the CSI socket %s does not answer: %s", s.Endpoint, status.Convert(err).Message())
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
	outcome := s.registration.Load()
	switch {
	case s.RegistrationDir == "":
		return nil
	case outcome == nil:
		return fmt.Errorf("kubelet has not registered the driver yet; it looks for sockets in its plugins_registry, which must be %s here", s.RegistrationDir)
	case !outcome.GetPluginRegistered():
		return errors.New("kubelet refused the registration: " + outcome.GetError())
	}
	return nil
}
