package auth

import (
	"context"
	"errors"
	"log/slog"
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
	// reviewsAtOnce bounds the questions under way; the rest wait for their turn. One service
	// account, and one peer, has half of them.
	reviewsAtOnce = 32
	reviewsOfOne  = reviewsAtOnce / 2
	// noRemembered is how long Kubernetes' no to a token holds. It does not become a yes, but
	// for a service account that is made anew.
	noRemembered = 5 * time.Second
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

// Cluster is one whose pods may call.
type Cluster struct {
	// Name is told of callers where there is more than one cluster.
	Name     string
	Reviewer Reviewer
	// Keys are by which forged tokens are refused before Kubernetes is asked; nil, and it is
	// asked about each.
	Keys KeySource
}

// PodsConfig says whose pods may call.
type PodsConfig struct {
	Clusters []Cluster
	// Audience is what tokens must be for.
	Audience string
	// Remember is how long a yes holds, which is how long a pod that was deleted may still
	// be served.
	Remember time.Duration
	Log      *slog.Logger
}

// Pods checks service-account tokens: by their signature, so that a forged one costs
// nobody else anything, and then by asking Kubernetes, which knows too whether their pod
// is still there. Callers with the same token share a question, and its answer is
// remembered for a while.
type Pods struct {
	clusters []*cluster
	audience string
	remember time.Duration
	known    *remembered
	flights  singleflight.Group
	turns    *turns
}

type cluster struct {
	Cluster
	keys *keyring // nil where it has no source
}

// NewPods asks nobody yet.
func NewPods(config PodsConfig) *Pods {
	p := &Pods{
		audience: config.Audience, remember: config.Remember,
		known: newRemembered(mostRemembered),
		turns: newTurns(reviewsAtOnce, reviewsOfOne),
	}
	log := config.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	for _, each := range config.Clusters {
		own := &cluster{Cluster: each}
		if each.Keys != nil {
			own.keys = &keyring{source: each.Keys, log: log}
		}
		if len(config.Clusters) == 1 {
			own.Name = ""
		}
		p.clusters = append(p.clusters, own)
	}
	return p
}

// Authenticate implements Authenticator. What could not be good is refused without a
// question, so that a stranger's noise stays here.
func (p *Pods) Authenticate(ctx context.Context, token secret.Text) (Caller, error) {
	if token.Len() == 0 {
		return Caller{}, refused("there is none")
	}
	key := p.known.key(token)
	if who, refusal, found := p.known.get(key); found {
		return who, refusal
	}
	claimed, isJWT := shapeOf(token)
	switch {
	case !isJWT:
		return Caller{}, refused("it is not a JWT")
	case claimed.critical:
		return Caller{}, refused("its header has crit, and core understands nothing that may stand there")
	case claimed.isTask():
		return Caller{}, refused("it is a task instance's, and this core takes those of service accounts alone")
	case !slices.Contains(claimed.Audience, p.audience):
		return Caller{}, refused("its aud is not " + p.audience + "; name that in the tokenRequests of the CSIDriver, or without a driver as the audience of the projected token")
	}
	own, err := p.clusterOf(ctx, claimed)
	if err != nil {
		return Caller{}, err
	}
	return p.share(ctx, key, question{own, token, claimed})
}

// clusterOf is the one that has signed the token. While the keys of one cluster cannot be
// had, it is the one that is asked about what no other has signed.
func (p *Pods) clusterOf(ctx context.Context, claimed shape) (*cluster, error) {
	var without []*cluster
	for _, each := range p.clusters {
		said := unknowable
		if each.keys != nil {
			said = each.keys.check(ctx, claimed)
		}
		switch said {
		case genuine:
			return each, nil
		case unknowable:
			without = append(without, each)
		}
	}
	switch len(without) {
	case 0:
		return nil, refused("no key that its cluster publishes has signed it")
	case 1:
		return without[0], nil
	default:
		return nil, undecided(errors.New("the keys of several clusters cannot be had, and it may be any one's"))
	}
}

// question is what Kubernetes is asked.
type question struct {
	of      *cluster
	token   secret.Text
	claimed shape
}

// share asks once for all who come with a token while the question is under way. It is
// nobody's own: the one who came first may leave.
func (p *Pods) share(ctx context.Context, key tokenKey, question question) (Caller, error) {
	flight := p.flights.DoChan(string(key[:]), func() (any, error) {
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewTimeout)
		defer cancel()
		who, err := p.ask(asking, question)
		switch {
		case err == nil:
			p.known.accept(key, who, p.remember, question.claimed.expires())
		case errors.Is(err, ErrRefused):
			p.known.refuse(key, err, min(noRemembered, p.remember))
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

// ask waits for a turn behind those of the same service account and peer alone, as long as
// these have not all that there are.
func (p *Pods) ask(ctx context.Context, question question) (Caller, error) {
	release, err := p.turns.take(ctx, "account "+question.claimed.Subject, "peer "+peerOf(ctx))
	if err != nil {
		return Caller{}, undecided(errors.New("too many questions to the API server are under way"))
	}
	defer release()
	status, err := question.of.Reviewer.Review(ctx, question.token, p.audience)
	if err != nil {
		return Caller{}, undecided(err)
	}
	who, err := p.verdict(status, question.claimed)
	if err == nil {
		who.Cluster = question.of.Name
	}
	return who, err
}

// verdict reads what Kubernetes said. A server that knows nothing of audiences would
// vouch for tokens that were meant for others; it names none in its answer.
func (p *Pods) verdict(status authenticationv1.TokenReviewStatus, claimed shape) (Caller, error) {
	switch {
	case !status.Authenticated && claimed.isExpired():
		return Caller{}, refused("Kubernetes does not accept it: it expired at " + claimed.expires().UTC().Format(time.RFC3339) + ", and core's clock says " +
			time.Now().UTC().Format(time.RFC3339) + "; compare the clocks of the pod's node, of core and of the API server")
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
