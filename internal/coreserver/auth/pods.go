package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// PodAudience is what a service-account token must be for, where nothing else is set.
const PodAudience = "leoflow-core"

const (
	// reviewsAtOnce bounds the questions under way; the rest wait for their turn.
	reviewsAtOnce = 32
	// reviewTimeout bounds one question, the wait for its turn included. Nodes give a
	// whole fetch ten seconds.
	reviewTimeout = 5 * time.Second
	// mostRemembered is a few MiB of callers.
	mostRemembered = 1 << 13
)

// Reviewer asks Kubernetes about a token for one audience. An error means that there
// was no answer; it holds nothing of the token.
type Reviewer interface {
	Review(ctx context.Context, token secret.Text, audience string) (authenticationv1.TokenReviewStatus, error)
}

// Pods checks service-account tokens by asking Kubernetes, which knows too whether
// their pod is still there. Callers with the same token share a question, and a yes is
// remembered for a while; a no never is.
type Pods struct {
	reviewer Reviewer
	audience string
	known    *remembered
	flights  singleflight.Group
	turns    chan struct{}
}

// NewPods takes tokens for audience. remember is how long a yes holds, which is how
// long a pod that was deleted may still be served.
func NewPods(reviewer Reviewer, audience string, remember time.Duration) *Pods {
	return &Pods{
		reviewer: reviewer, audience: audience,
		known: newRemembered(mostRemembered, remember),
		turns: make(chan struct{}, reviewsAtOnce),
	}
}

// Authenticate implements Authenticator. What could not be good is refused without a
// question, so that a stranger's noise stays here.
func (p *Pods) Authenticate(ctx context.Context, token secret.Text) (Caller, error) {
	if token.Len() == 0 {
		return Caller{}, refused("there is none")
	}
	key := p.known.key(token)
	if who, found := p.known.get(key); found {
		return who, nil
	}
	claimed, isJWT := shapeOf(token)
	switch {
	case !isJWT:
		return Caller{}, refused("it is not a JWT")
	case claimed.isTask():
		return Caller{}, refused("it is a task instance's, and this core takes those of service accounts alone")
	case !slices.Contains(claimed.Audience, p.audience):
		return Caller{}, refused("its aud is not " + p.audience + "; name that in the tokenRequests of the CSIDriver")
	}
	return p.share(ctx, key, token, claimed)
}

// share asks once for all who come with a token while the question is under way. It is
// nobody's own: the one who came first may leave.
func (p *Pods) share(ctx context.Context, key tokenKey, token secret.Text, claimed shape) (Caller, error) {
	flight := p.flights.DoChan(string(key[:]), func() (any, error) {
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewTimeout)
		defer cancel()
		who, err := p.ask(asking, token, claimed)
		if err == nil {
			p.known.put(key, who, claimed.expires())
		}
		return who, err
	})
	select {
	case result := <-flight:
		return result.Val.(Caller), result.Err
	case <-ctx.Done():
		return Caller{}, undecided(ctx.Err())
	}
}

func (p *Pods) ask(ctx context.Context, token secret.Text, claimed shape) (Caller, error) {
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return Caller{}, undecided(fmt.Errorf("%d questions to the API server are under way", reviewsAtOnce))
	}
	status, err := p.reviewer.Review(ctx, token, p.audience)
	if err != nil {
		return Caller{}, undecided(err)
	}
	return p.verdict(status, claimed)
}

// verdict reads what Kubernetes said. A server that knows nothing of audiences would
// vouch for tokens that were meant for others; it names none in its answer.
func (p *Pods) verdict(status authenticationv1.TokenReviewStatus, claimed shape) (Caller, error) {
	switch {
	case !status.Authenticated && claimed.isExpired():
		return Caller{}, refused("Kubernetes does not accept it: it expired at " + claimed.expires().UTC().Format(time.RFC3339))
	case !status.Authenticated:
		return Caller{}, refused("Kubernetes does not accept it: it is another cluster's, or its pod or service account is gone")
	case !slices.Contains(status.Audiences, p.audience):
		return Caller{}, refused("Kubernetes accepts it and does not say that its aud is " + p.audience)
	}
	namespace, account, found := serviceAccount(status.User.Username)
	if !found {
		return Caller{}, refused("it is not a service account's")
	}
	return Caller{
		Namespace: namespace, ServiceAccount: account,
		Pod: extra(status.User, "pod-name"), PodUID: extra(status.User, "pod-uid"), Node: extra(status.User, "node-name"),
		TokenID: extra(status.User, "credential-id"),
	}, nil
}

// serviceAccount takes apart the name that Kubernetes gives to a service account as a
// user: system:serviceaccount:NAMESPACE:NAME.
func serviceAccount(user string) (namespace, name string, found bool) {
	rest, isAccount := strings.CutPrefix(user, "system:serviceaccount:")
	namespace, name, _ = strings.Cut(rest, ":")
	return namespace, name, isAccount && namespace != "" && name != "" && !strings.Contains(name, ":")
}

// extra is what Kubernetes knows of a token beyond its service account. Tokens that are
// bound to no pod have none of it.
func extra(user authenticationv1.UserInfo, name string) string {
	values := user.Extra["authentication.kubernetes.io/"+name]
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
