package vaultapi

import (
	"context"
	"net/http"
	"time"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const loggingIn = "logging in to Vault by the pod's token"

// Session is one pod's in one role. It logs in when it first has to, and its token of Vault is nobody else's.
// It is safe for concurrent use.
type Session struct {
	client *Client
	role   string
	shown  secretmanager.Presented

	// turn is whose it is to log in; what is below belongs to whoever has it.
	turn  chan struct{}
	token secret.Text
	// renewAt is when the token is to be renewed; zero if it does not end.
	renewAt   time.Time
	renewable bool
}

// Open begins a session of a role, by the pod's token. It asks nobody yet.
func (c *Client) Open(role string, shown secretmanager.Presented) *Session {
	return &Session{client: c, role: role, shown: shown, turn: make(chan struct{}, 1)}
}

// ask makes a request of what the pod may do. Vault says 403 of an expired token too: one that is not good
// for anything any more is replaced once, before the pod is said to be denied.
func (s *Session) ask(ctx context.Context, doing, method, path string) (answer, error) {
	token, err := s.current(ctx, secret.Text{})
	if err != nil {
		return answer{}, err
	}
	got, err := s.client.call(ctx, doing, method, path, token, nil)
	if err != nil || got.Status != http.StatusForbidden || !got.isVaults() {
		return got, err
	}
	known, err := s.client.call(ctx, loggingIn, http.MethodGet, "auth/token/lookup-self", token, nil)
	if err != nil {
		return answer{}, secretmanager.OfPod(err)
	}
	if known.Status == http.StatusOK {
		return got, nil
	}
	if token, err = s.current(ctx, token); err != nil {
		return answer{}, err
	}
	return s.client.call(ctx, doing, method, path, token, nil)
}

// current is a token of Vault other than refused, which Vault took no more.
func (s *Session) current(ctx context.Context, refused secret.Text) (secret.Text, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return secret.Text{}, secretmanager.OfPod(secretmanager.Unreachable(loggingIn))
	}
	isGood := s.token.Len() > 0 && s.token.Reveal() != refused.Reveal()
	if isGood && (s.renewAt.IsZero() || time.Now().Before(s.renewAt)) {
		return s.token, nil
	}
	if isGood && s.renewable && s.renew(ctx) {
		return s.token, nil
	}
	return s.token, s.login(ctx)
}

func (s *Session) renew(ctx context.Context) bool {
	renewed, err := s.client.call(ctx, loggingIn, http.MethodPost, "auth/token/renew-self", s.token, map[string]string{})
	if err != nil || renewed.Status != http.StatusOK || renewed.Auth.Token == "" {
		return false
	}
	before := time.Now()
	s.take(renewed)
	return s.renewAt.IsZero() || s.renewAt.Sub(before) > time.Second // near its longest life it is hardly renewed
}

func (s *Session) take(got answer) {
	s.token, s.renewable, s.renewAt = secret.New(got.Auth.Token), got.Auth.Renewable, time.Time{}
	if lease := time.Duration(got.Auth.Lease) * time.Second; lease > 0 {
		s.renewAt = time.Now().Add(lease * 2 / 3)
	}
}

// login exchanges the pod's token. What Vault refuses concerns the role and the pod, and no secret.
func (s *Session) login(ctx context.Context) error {
	s.token = secret.Text{}
	got, err := s.client.call(ctx, loggingIn, http.MethodPost, "auth/"+s.client.AuthMount+"/login", secret.Text{},
		map[string]string{"role": s.role, "jwt": s.shown.Token.Reveal()})
	if err != nil {
		return secretmanager.OfPod(err)
	}
	if got.Status != http.StatusOK || got.Auth.Token == "" {
		return s.loginFailure(got)
	}
	s.take(got)
	return nil
}

func (s *Session) loginFailure(got answer) error {
	if !got.isVaults() && !isMoved(got.Status) {
		return secretmanager.OfPod(secretmanager.NotTheStores(loggingIn, got.Status, got.Header))
	}
	at := s.client.AuthMount
	failure := secretmanager.ExchangeFailed(loggingIn, got.Status, got.Header)
	switch got.Status {
	case http.StatusBadRequest, http.StatusForbidden: // which methods do not tell apart
		failure.Kind = provider.ErrUnauthenticated
		failure.Text = loggingIn + ": role " + s.role + " of the auth method at " + at +
			" does not take it, " + s.shown.String() + "; check that there is the role, and its service accounts, namespaces and audience"
	case http.StatusNotFound:
		failure.Kind = provider.ErrUnauthenticated
		failure.Text = loggingIn + ": there is no auth method at " + at + "; correct auth_mount_point or namespace in backend_kwargs"
	}
	if isMoved(got.Status) {
		failure.Text = redirected
	}
	return failure
}
