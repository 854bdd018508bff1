package core

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// nodeTokenFresh is how long the driver's own token is not read again. Kubelet replaces it
// long before it expires.
const nodeTokenFresh = 10 * time.Second

// ownToken is the driver's, as it was read last.
type ownToken struct {
	mu    sync.Mutex
	token secret.Text
	until time.Time
}

// nodeToken reads the driver's token; it is empty where the driver has none.
func (c *Client) nodeToken(ctx context.Context) (secret.Text, error) {
	if c.config.NodeToken == nil {
		return secret.Text{}, nil
	}
	c.own.mu.Lock()
	defer c.own.mu.Unlock()
	return c.readNodeToken(ctx)
}

// freshNodeToken is nodeToken for calls of which there are many.
func (c *Client) freshNodeToken(ctx context.Context) (secret.Text, error) {
	if c.config.NodeToken == nil {
		return secret.Text{}, nil
	}
	c.own.mu.Lock()
	defer c.own.mu.Unlock()
	if time.Now().Before(c.own.until) {
		return c.own.token, nil
	}
	return c.readNodeToken(ctx)
}

func (c *Client) readNodeToken(ctx context.Context) (secret.Text, error) {
	token, err := c.config.NodeToken(ctx)
	if err == nil && (token.Len() == 0 || strangeCharacter(token) >= 0) {
		err = errors.New("it is empty, or holds a character that no token has")
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("reading the node's token: %w", err)
	}
	c.own.token, c.own.until = token, time.Now().Add(nodeTokenFresh)
	return token, nil
}

// forgetNodeToken has the token read again, after core has refused it, and returns what it
// was.
func (c *Client) forgetNodeToken() secret.Text {
	c.own.mu.Lock()
	defer c.own.mu.Unlock()
	c.own.until = time.Time{}
	return c.own.token
}

// underOwnIdentity is ctx for a call that shows the driver's token. What is refused there is
// the node, and none of its pods, whose own refusals stand in the answer.
func (c *Client) underOwnIdentity(ctx context.Context) (context.Context, error) {
	token, err := c.freshNodeToken(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", provider.ErrUnavailable, err)
	case token.Len() == 0:
		return ctx, nil
	default:
		return withBearer(ctx, token), nil
	}
}
