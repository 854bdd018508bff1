package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	loggingIn = "logging in to Vault by the pod's token"
	reading   = "reading the secret from Vault"
	listing   = "listing what Vault holds"
)

// session is one pod's in one role. Its token of Vault is nobody else's.
type session struct {
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
	status   int
	header   http.Header
	Data     json.RawMessage `json:"data"`
	Auth     auth            `json:"auth"`
	Errors   []string        `json:"errors"`
	Warnings []string        `json:"warnings"`
}

type auth struct {
	Token     string `json:"client_token"`
	Lease     int    `json:"lease_duration"`
	Renewable bool   `json:"renewable"`
}

// call makes one request. doing is for the error, which it returns only where there is no answer.
func (v *Vault) call(ctx context.Context, doing, method, path string, token secret.Text, body any) (answer, error) {
	var sent io.Reader
	if body != nil {
		text, _ := json.Marshal(body) // of texts: cannot fail
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, v.address+"/v1/"+path, sent)
	if err != nil {
		return answer{}, secretmanager.Unusable("the secret's path makes no URL; correct the id")
	}
	request.Header.Set("X-Vault-Request", "true")
	if v.namespace != "" {
		request.Header.Set("X-Vault-Namespace", v.namespace)
	}
	if token.Len() > 0 {
		request.Header.Set("X-Vault-Token", token.Reveal())
	}
	response, err := v.http.Do(request)
	if err != nil {
		return answer{}, noAnswer(doing, err)
	}
	defer func() { _ = response.Body.Close() }()
	made := answer{status: response.StatusCode, header: response.Header}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, noAnswer(doing, err)
	}
	if len(text) > 0 && json.Unmarshal(text, &made) != nil {
		if made.status == http.StatusOK {
			return answer{}, secretmanager.Unreachable(doing)
		}
		made.Errors = []string{""} // of somebody before Vault
	}
	return made, nil
}

func noAnswer(doing string, err error) error {
	var failure *secretmanager.Failure
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &tooLarge):
		return secretmanager.Unusable(doing + ": it is larger than 1 MiB; store less in it")
	}
	return secretmanager.Unreachable(doing)
}

// current is a token of Vault other than refused, which Vault took no more.
func (s *session) current(ctx context.Context, refused secret.Text) (secret.Text, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	isGood := s.token.Len() > 0 && s.token.Reveal() != refused.Reveal()
	if isGood && (s.renewAt.IsZero() || time.Now().Before(s.renewAt)) {
		return s.token, nil
	}
	if isGood && s.renewable && s.renew(ctx) {
		return s.token, nil
	}
	return s.token, s.login(ctx)
}

func (s *session) renew(ctx context.Context) bool {
	renewed, err := s.call(ctx, loggingIn, http.MethodPost, "auth/token/renew-self", s.token, struct{}{})
	if err != nil || renewed.status != http.StatusOK || renewed.Auth.Token == "" {
		return false
	}
	before := time.Now()
	s.take(renewed.Auth)
	return s.renewAt.IsZero() || s.renewAt.Sub(before) > time.Second // near its longest life it is hardly renewed
}

func (s *session) take(got auth) {
	s.token, s.renewable, s.renewAt = secret.New(got.Token), got.Renewable, time.Time{}
	if lease := time.Duration(got.Lease) * time.Second; lease > 0 {
		s.renewAt = time.Now().Add(lease * 2 / 3)
	}
}

// login exchanges the pod's token. What Vault refuses concerns the role and the pod, and no secret.
func (s *session) login(ctx context.Context) error {
	s.token = secret.Text{}
	got, err := s.call(ctx, loggingIn, http.MethodPost, "auth/"+escape(s.authMount)+"/login", secret.Text{}, map[string]string{"role": s.role, "jwt": s.jwt.Reveal()})
	if err != nil {
		return secretmanager.OfPod(err)
	}
	if got.status != http.StatusOK || got.Auth.Token == "" {
		return s.loginFailure(got)
	}
	s.take(got.Auth)
	return nil
}

func (s *session) loginFailure(got answer) error {
	at := "role " + s.role + " of the auth method at " + s.authMount
	failure := secretmanager.ExchangeFailed(loggingIn, got.status, got.header)
	switch got.status {
	case http.StatusBadRequest, http.StatusForbidden: // which methods do not tell apart
		failure.Kind = provider.ErrUnauthenticated
		failure.Text = loggingIn + ": " + at + " does not take it; check that there is the role, and its service accounts, namespaces and audience"
	case http.StatusNotFound:
		failure.Kind = provider.ErrUnauthenticated
		failure.Text = loggingIn + ": there is no auth method at " + s.authMount + "; correct auth_mount_point or namespace in backend_kwargs"
	case http.StatusTemporaryRedirect:
		failure.Text = redirected
	}
	return failure
}

const redirected = "Vault sends the driver to another address, as one on standby does; give it that of a load balancer that finds the active one"

// asked is one request of what the session may do.
type asked struct{ doing, method, path string }

// ask makes a request in the session. Vault says 403 of an expired token too: one that is not good
// for anything any more is replaced once, before the pod is said to be denied.
func (s *session) ask(ctx context.Context, a asked) (answer, error) {
	token, err := s.current(ctx, secret.Text{})
	if err != nil {
		return answer{}, err
	}
	got, err := s.call(ctx, a.doing, a.method, a.path, token, nil)
	if err != nil || got.status != http.StatusForbidden {
		return got, err
	}
	known, err := s.call(ctx, loggingIn, http.MethodGet, "auth/token/lookup-self", token, nil)
	if err != nil {
		return answer{}, secretmanager.OfPod(err)
	}
	if known.status == http.StatusOK {
		return got, nil
	}
	if token, err = s.current(ctx, token); err != nil {
		return answer{}, err
	}
	return s.call(ctx, a.doing, a.method, a.path, token, nil)
}

// Read implements store.Session.
func (s *session) Read(ctx context.Context, name string) (secret.Text, error) {
	mount, path, _ := strings.Cut(name, "\x00")
	got, err := s.ask(ctx, asked{reading, http.MethodGet, s.pathOf(mount, "data", path)})
	switch {
	case err != nil:
		return secret.Text{}, err
	case got.status != http.StatusOK:
		return secret.Text{}, s.failure(reading, mount, path, got)
	}
	kept := got.Data
	if s.version == 2 {
		var envelope struct {
			Data json.RawMessage `json:"data"`
		}
		if json.Unmarshal(kept, &envelope) != nil {
			return secret.Text{}, secretmanager.Unreachable(reading)
		}
		kept = envelope.Data
	}
	if len(kept) == 0 || kept[0] != '{' {
		return secret.Text{}, secretmanager.Unusable("the answer holds no secret of KV version " + versionText(s.version) + "; check kv_engine_version and mount_point in backend_kwargs")
	}
	return secret.New(string(kept)), nil
}

func versionText(version int) string {
	if version == 1 {
		return "1"
	}
	return "2"
}

// failure tells a missing secret from a missing mount: both are 404, and the latter says more.
func (s *session) failure(doing, mount, path string, got answer) error {
	failure := secretmanager.AccessFailed(doing, got.status, got.header)
	what := "data/"
	if s.version == 1 {
		what = ""
	}
	switch {
	case got.status == http.StatusForbidden:
		failure.Text = doing + `: no policy lets the pod's role read it; add path "` + mount + "/" + what + path +
			`" { capabilities = ["read"] }, without which Vault says so of a secret that does not exist, too`
	case got.status == http.StatusNotFound && len(got.Warnings) > 0:
		failure.Kind, failure.Text = nil, doing+": the mount "+mount+" is not of KV version "+versionText(s.version)+"; correct kv_engine_version in backend_kwargs"
	case got.status == http.StatusNotFound && len(got.Errors) > 0:
		failure.Kind, failure.Whole = provider.ErrUnavailable, true
		failure.Text = doing + ": there is nothing mounted at " + mount + "; mount it, or correct mount_point or namespace in backend_kwargs"
	case got.status == http.StatusNotFound:
		failure.Text = doing + ": there is no " + path + " in mount " + mount + ", or its version is deleted; write it"
	case got.status == http.StatusTemporaryRedirect:
		failure.Text = redirected
	}
	return failure
}

// pathOf is where the API has a path of a mount. The second version has a segment of its own for
// what is asked of it.
func (s *session) pathOf(mount, what, path string) string {
	if s.version == 1 {
		return escape(mount) + "/" + escape(path)
	}
	return escape(mount) + "/" + what + "/" + escape(path)
}

// escape keeps slashes.
func escape(path string) string {
	segments := strings.Split(path, "/")
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	return strings.Join(segments, "/")
}
