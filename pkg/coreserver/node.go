package coreserver

import (
	"context"
	"crypto/x509"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// checkNode tells whether a node calls: one that shows a certificate of the client CA
// with a name that is allowed. Where core has no client CA it has no Watch either, and
// says so in the way that makes drivers poll.
func (s *Server) checkNode(ctx context.Context) error {
	if s.config.ClientCA == "" {
		return status.Error(codes.Unimplemented, "this core has no client CA and could not tell a node from a stranger: poll instead")
	}
	certificate := clientCertificate(ctx)
	if certificate == nil {
		return status.Error(codes.Unauthenticated, "watching takes a client certificate of core's client CA")
	}
	for _, name := range certificateNames(certificate) {
		if s.config.NodeNames.Match(name) {
			return nil
		}
	}
	return status.Errorf(codes.PermissionDenied, "client certificate of %q is not among the node names allowed to watch", certificate.Subject.CommonName)
}

func clientCertificate(ctx context.Context) *x509.Certificate {
	caller, _ := peer.FromContext(ctx)
	if caller == nil {
		return nil
	}
	info, ok := caller.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil
	}
	return info.State.VerifiedChains[0][0]
}

// certificateNames are those that the CA vouched for: the DNS and URI names, and the
// common name, which is all that kubelet's own certificates have.
func certificateNames(certificate *x509.Certificate) []string {
	names := append([]string{certificate.Subject.CommonName}, certificate.DNSNames...)
	for _, uri := range certificate.URIs {
		names = append(names, uri.String())
	}
	return names
}
