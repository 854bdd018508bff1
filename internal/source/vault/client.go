package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// client is one pod's in one role, and does what an SDK of Vault would: it logs in, renews its token and makes
// requests. The token is nobody else's.
type client struct {
	*Vault
	role string
	jwt  secret.Text

	mu    sync.Mutex
	token secret.Text
	// renewAt is when the token is to be renewed; zero if it does not end.
	renewAt   time.Time
	renewable bool
}

// answer is what Vault says, of which errors are never repeated: they quote what was sent.
type answer struct {
	secretmanager.Answer `json:"-"`

	Data json.RawMessage `json:"data"`
	Auth struct {
		Token     string `json:"client_token"`
		Lease     int    `json:"lease_duration"`
		Renewable bool   `json:"renewable"`
	} `json:"auth"`
	Errors   []string `json:"errors"`
	Warnings []string `json:"warnings"`
}

// call makes one request. doing is for the error, which it returns only where there is no answer.
func (v *Vault) call(ctx context.Context, doing, method, path string, token secret.Text, body map[string]string) (made answer, err error) {
	sent, _ := json.Marshal(body) // of texts: cannot fail
	if body == nil {
		sent = nil
	}
	request, err := http.NewRequestWithContext(ctx, method, v.address+"/v1/"+escape(path), bytes.NewReader(sent))
	if err != nil {
		return made, secretmanager.Unusable("the secret's path makes no URL; correct the id")
	}
	request.Header.Set("X-Vault-Request", "true")
	if v.namespace != "" {
		request.Header.Set("X-Vault-Namespace", v.namespace)
	}
	if token.Len() > 0 {
		request.Header.Set("X-Vault-Token", token.Reveal())
	}
	if made.Answer, err = secretmanager.Ask(v.http, doing, request); err != nil {
		return made, err
	}
	if len(made.Body) > 0 && json.Unmarshal(made.Body, &made) != nil {
		if made.Status == http.StatusOK {
			return made, secretmanager.Unreachable(doing)
		}
		made.Errors = []string{""} // of somebody before Vault
	}
	return made, nil
}

// current is a token of Vault other than refused, which Vault took no more.
func (c *client) current(ctx context.Context, refused secret.Text) (secret.Text, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	isGood := c.token.Len() > 0 && c.token.Reveal() != refused.Reveal()
	if isGood && (c.renewAt.IsZero() || time.Now().Before(c.renewAt)) {
		return c.token, nil
	}
	if isGood && c.renewable && c.renew(ctx) {
		return c.token, nil
	}
	return c.token, c.login(ctx)
}

func (c *client) renew(ctx context.Context) bool {
	renewed, err := c.call(ctx, loggingIn, http.MethodPost, "auth/token/renew-self", c.token, map[string]string{})
	if err != nil || renewed.Status != http.StatusOK || renewed.Auth.Token == "" {
		return false
	}
	before := time.Now()
	c.take(renewed)
	return c.renewAt.IsZero() || c.renewAt.Sub(before) > time.Second // near its longest life it is hardly renewed
}

func (c *client) take(got answer) {
	c.token, c.renewable, c.renewAt = secret.New(got.Auth.Token), got.Auth.Renewable, time.Time{}
	if lease := time.Duration(got.Auth.Lease) * time.Second; lease > 0 {
		c.renewAt = time.Now().Add(lease * 2 / 3)
	}
}

// login exchanges the pod's token. What Vault refuses concerns the role and the pod, and no secret.
func (c *client) login(ctx context.Context) error {
	c.token = secret.Text{}
	got, err := c.call(ctx, loggingIn, http.MethodPost, "auth/"+c.authMount+"/login", secret.Text{}, map[string]string{"role": c.role, "jwt": c.jwt.Reveal()})
	if err != nil {
		return secretmanager.OfPod(err)
	}
	if got.Status != http.StatusOK || got.Auth.Token == "" {
		return c.loginFailure(got)
	}
	c.take(got)
	return nil
}

func (c *client) loginFailure(got answer) error {
	at := "role " + c.role + " of the auth method at " + c.authMount
	failure := secretmanager.ExchangeFailed(loggingIn, got.Status, got.Header)
	switch got.Status {
	case http.StatusBadRequest, http.StatusForbidden: // which methods do not tell apart
		failure.Kind = provider.ErrUnauthenticated
		failure.Text = loggingIn + ": " + at + " does not take it; check that there is the role, and its service accounts, namespaces and audience"
	case http.StatusNotFound:
		failure.Kind = provider.ErrUnauthenticated
		failure.Text = loggingIn + ": there is no auth method at " + c.authMount + "; correct auth_mount_point or namespace in backend_kwargs"
	}
	if isMoved(got.Status) {
		failure.Text = redirected
	}
	return failure
}

// isMoved is of an answer that leads elsewhere, which is not followed: the token would go there.
func isMoved(status int) bool { return status >= 300 && status < 400 }

const redirected = "Vault sends the driver to another address, as one on standby does; give it that of a load balancer that finds the active one"

// ask makes a request of what the pod may do. Vault says 403 of an expired token too: one that is not good
// for anything any more is replaced once, before the pod is said to be denied.
func (c *client) ask(ctx context.Context, doing, method, path string) (answer, error) {
	token, err := c.current(ctx, secret.Text{})
	if err != nil {
		return answer{}, err
	}
	got, err := c.call(ctx, doing, method, path, token, nil)
	if err != nil || got.Status != http.StatusForbidden {
		return got, err
	}
	known, err := c.call(ctx, loggingIn, http.MethodGet, "auth/token/lookup-self", token, nil)
	if err != nil {
		return answer{}, secretmanager.OfPod(err)
	}
	if known.Status == http.StatusOK {
		return got, nil
	}
	if token, err = c.current(ctx, token); err != nil {
		return answer{}, err
	}
	return c.call(ctx, doing, method, path, token, nil)
}

// escape keeps slashes.
func escape(path string) string {
	segments := strings.Split(path, "/")
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	return strings.Join(segments, "/")
}
