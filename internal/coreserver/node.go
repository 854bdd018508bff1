package coreserver

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// admitWatcher lets a node watch, or who asks without a driver, and records who was let in and who was
// not. A core that takes neither certificates nor service accounts of nodes has no Watch for them, and says so
// in the way that makes drivers poll. Done is to be called at the end of the watch.
func (s *Server) admitWatcher(ctx context.Context, request *secretsv1.WatchRequest) (done func(), err error) {
	shown, _, err := s.driver(ctx)
	if err != nil {
		return nil, err
	}
	var decided admission
	switch own := shown.direct; {
	case own != nil && !shown.ruleless && request.GetScoped(): // who is told of what the tickets say that it may read, and no more
		decided = admission{who: *own, decision: audit.Allowed}
		decided.who.Direct = true
	case s.config.ClientCA == "" && len(s.config.NodeServiceAccounts) == 0:
		return nil, status.Error(codes.Unimplemented, "this core has no client CA and no service accounts of nodes, and could not tell a node from a stranger: poll instead")
	default:
		if decided, err = s.node(ctx); err != nil {
			return nil, err
		}
	}
	done = func() {}
	if over := gate.Of(ctx); over != nil && decided.decision == audit.Allowed {
		if done, err = over.Watch(); err != nil {
			return nil, status.Error(codes.ResourceExhausted, err.Error())
		}
	}
	deciding := s.decide(ctx)
	ruling := verdict{decision: decided.decision, detail: decided.detail}
	// What stays of a context's having had a child stays for as long as the watch.
	if err = deciding.commit(context.WithoutCancel(ctx), one(deciding.record(decided.who, entry.Name{}, ruling)), false); err == nil {
		err = decided.status()
	}
	if err != nil {
		done()
	}
	return done, err
}

// admission is what core decides about one who wants to watch.
type admission struct {
	who      auth.Caller
	decision audit.Decision
	detail   string
}

func (a admission) status() error {
	switch a.decision {
	case audit.Allowed:
		return nil
	case audit.Denied:
		return status.Error(codes.PermissionDenied, a.detail)
	default:
		return status.Error(codes.Unauthenticated, a.detail)
	}
}

// node decides by the client certificate, where that is a node's, and else by the
// token. It fails, with a status, where core cannot tell.
func (s *Server) node(ctx context.Context) (admission, error) {
	certificate, token := clientCertificate(ctx), bearer(ctx)
	shown := s.byCertificate(certificate)
	if shown.decision == audit.Allowed || len(s.config.NodeServiceAccounts) == 0 || token.Len() == 0 {
		return shown, nil
	}
	known, err := s.identify(ctx, token)
	return s.byServiceAccount(known), err
}

func (s *Server) byCertificate(certificate *x509.Certificate) admission {
	if certificate == nil {
		return admission{decision: audit.Unauthenticated, detail: "watching takes " + s.config.waysToWatch()}
	}
	names := certificateNames(certificate)
	if at := slices.IndexFunc(names, s.config.NodeNames.Match); at >= 0 {
		return admission{who: auth.Caller{Certificate: names[at]}, decision: audit.Allowed}
	}
	return admission{
		who: auth.Caller{Certificate: names[0]}, decision: audit.Denied,
		detail: fmt.Sprintf("client certificate of %q is not among the node names allowed to watch", names[0]),
	}
}

func (s *Server) byServiceAccount(known identity) admission {
	switch {
	case known.refused != "":
		return admission{decision: audit.Unauthenticated, detail: known.refused}
	case !s.isNode(known.who):
		return admission{
			who: known.who, decision: audit.Denied,
			detail: "this caller is not among the service accounts of nodes allowed to watch",
		}
	default:
		return admission{who: known.who, decision: audit.Allowed}
	}
}

// isNode tells a driver that comes with its own token.
func (s *Server) isNode(who auth.Caller) bool {
	who.Direct = false
	return slices.Contains(s.config.NodeServiceAccounts, who.RuleSubject())
}

func clientCertificate(ctx context.Context) *x509.Certificate {
	caller, _ := peer.FromContext(ctx)
	if caller == nil {
		return nil
	}
	shown, _ := caller.AuthInfo.(gate.Info)
	info, _ := shown.AuthInfo.(shownTLS)
	return info.certificate
}

// certificateNames are those that the CA vouched for: the common name, which is all
// that kubelet's own certificates have, and the DNS and URI names.
func certificateNames(certificate *x509.Certificate) []string {
	names := append([]string{certificate.Subject.CommonName}, certificate.DNSNames...)
	for _, uri := range certificate.URIs {
		names = append(names, uri.String())
	}
	return names
}
