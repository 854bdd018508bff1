package coreserver

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// identifyAtOnce bounds the tokens of one call that are looked into at a time. A node
// brings those of all its pods, and each may be a question to Kubernetes.
const identifyAtOnce = 16

// identity is whom a token speaks for, or the reason why it is not taken: it speaks for
// nobody, or who comes from elsewhere.
type identity struct {
	who     auth.Caller
	refused string
}

// identify fails, with a status, where core cannot tell.
func (s *Server) identify(ctx context.Context, token secret.Text) (identity, error) {
	if ctx.Err() != nil { // as of a stranger who has shown too many bad ones
		return identity{}, status.FromContextError(ctx.Err()).Err()
	}
	who, err := s.config.Authenticator.Authenticate(auth.FromPeer(ctx, peerHost(ctx)), token)
	over := gate.Of(ctx)
	switch {
	case err == nil:
		if over != nil {
			over.Known()
		}
		if s.telling.tell != nil && (who.Cluster == "" || who.Cluster == s.config.TellCluster) {
			s.telling.seen.note(who, s.config.Now())
		}
		return identity{who: who}, nil
	case errors.Is(err, auth.ErrRefused):
		if over != nil {
			over.Refused()
		}
		return identity{refused: err.Error()}, nil
	default:
		return identity{}, status.Errorf(codes.Unavailable, "authenticating caller: %v", err)
	}
}

// identifyAll keeps the order of callers. Where it cannot tell of one it tells of none:
// the node asks again, for all.
func (s *Server) identifyAll(ctx context.Context, from driver, callers []*secretsv1.Caller) ([]identity, error) {
	known := make([]identity, len(callers))
	one := func(i int) (err error) {
		defer s.contain(ctx, "authenticate", &err)
		known[i], err = s.identify(ctx, secret.New(callers[i].GetToken()))
		if err == nil && known[i].refused == "" {
			known[i].refused = s.unbound(from, known[i].who)
			known[i].who.Direct = known[i].refused == "" && from.isDirect(known[i].who)
		}
		return err
	}
	if len(callers) == 1 { // whom a goroutine would only make wait
		return known, one(0)
	}
	var all errgroup.Group
	all.SetLimit(identifyAtOnce)
	for i := range callers {
		all.Go(func() error { return one(i) })
	}
	return known, all.Wait()
}
