package auth

import "context"

type peerKey struct{}

// FromPeer says whose connection a token came over. Tokens of one peer wait for one another
// before they wait for those of others.
func FromPeer(ctx context.Context, host string) context.Context {
	return context.WithValue(ctx, peerKey{}, host)
}

func peerOf(ctx context.Context) string {
	host, _ := ctx.Value(peerKey{}).(string)
	return host
}
