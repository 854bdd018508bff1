package secretmanager

import (
	"context"
	"errors"
	"regexp"

	"github.com/leoflow/secrets-csi/internal/cache"
	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/internal/turn"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// overhead is about what a cache takes to keep a value, besides the value.
const overhead = 256

// maxSessions is more than a node has service accounts in use.
const maxSessions = 1024

// Resolver implements provider.Resolver. Pods of one service account that ask for one
// reference share the call and what it brought; nothing is ever shared beyond that.
type Resolver struct {
	config   Config
	keyer    keyer
	paces    map[string]*pace
	accounts *cache.Cache[cacheKey, map[string]string] // annotations by service account
	sessions *cache.Cache[cacheKey, Session]
	values   *cache.Cache[cacheKey, secret.Text]
	flights  flights
	// apiServer is where annotations are read.
	apiServer *outages
}

var _ provider.Resolver = (*Resolver)(nil)

// New returns a Resolver that is ready to use and has nothing to close.
func New(config Config) *Resolver {
	config = withDefaults(config)
	r := &Resolver{
		config: config, keyer: newKeyer(), paces: map[string]*pace{},
		accounts:  cache.New[cacheKey, map[string]string](maxSessions, nil),
		sessions:  cache.New[cacheKey, Session](maxSessions, nil),
		values:    cache.New[cacheKey, secret.Text](config.CacheBytes, nil),
		apiServer: newOutages(retryAway),
	}
	for name := range config.Clouds {
		r.paces[name] = newPace(config.CallsAtOnce, config.CallTimeout)
	}
	return r
}

// Resolve implements provider.Resolver.
func (r *Resolver) Resolve(ctx context.Context, pod provider.Identity, ref entry.Reference) (secret.Text, error) {
	cloud := r.config.Clouds[ref.Cloud]
	if cloud == nil {
		return secret.Text{}, Unusable("references into " + ref.Cloud + " are not enabled on this node; have them enabled, or go keyless")
	}
	if ref.Version == "latest" {
		ref.Version = ""
	}
	if part, reason := ref.Fault(); part != "" {
		return secret.Text{}, Unusable("the reference's " + string(part) + " " + reason)
	}
	if !pod.IsAttested() {
		return secret.Text{}, &Failure{Kind: provider.ErrUnauthenticated, Text: "no token from kubelet is of service account " +
			pod.Namespace + "/" + pod.ServiceAccount + "; list the cloud's audience in the CSIDriver's tokenRequests, and set podInfoOnMount there"}
	}
	subject := Subject{Pod: pod, Role: ref.Role, Location: ref.Location}
	var err error
	if subject.Annotations, err = r.annotations(ctx, cloud, pod); err != nil {
		return secret.Text{}, err
	}
	return r.share(ctx, request{cloud, subject, ref, r.keyer.identity(ref.Cloud, subject)})
}

// request is one call to Resolve, and the key of the identity that it is made under.
type request struct {
	cloud    Cloud
	subject  Subject
	ref      entry.Reference
	identity cacheKey
}

// share joins a call that is under way for the same identity and reference, or makes
// one. A call that failed for want of a good token may have failed for somebody
// else's: whoever joined it then tries with their own, once.
func (r *Resolver) share(ctx context.Context, req request) (secret.Text, error) {
	key := r.keyer.value(req.identity, req.ref)
	for again := false; ; again = true {
		if value, found := r.values.Get(key); found {
			return value, nil
		}
		fetched, led, err := r.flights.join(ctx, key, func() (any, error) { return r.fetch(ctx, key, req) })
		if errors.Is(err, provider.ErrUnauthenticated) && !led && !again {
			continue
		}
		value, _ := fetched.(secret.Text)
		return value, err
	}
}

// fetch asks the cloud. It outlives the caller that began it, because others may have
// joined.
func (r *Resolver) fetch(ctx context.Context, key cacheKey, req request) (any, error) {
	if value, found := r.values.Get(key); found {
		return value, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.Timeout)
	defer cancel()
	at := outage.Scope{Place: req.ref.Location + "/" + req.ref.Region, Caller: string(req.identity[:])}
	value, err := r.paces[req.ref.Cloud].try(turn.For(ctx, req.subject.Pod.Namespace), at, func(ctx context.Context) (secret.Text, error) {
		return r.access(ctx, req)
	})
	if err != nil {
		return nil, err
	}
	lasting := r.config.LatestFor
	if pinned.MatchString(req.ref.Version) {
		lasting = r.config.PinnedFor
	}
	r.values.Put(key, value, value.Len()+overhead, lasting)
	return value, nil
}

// pinned matches the versions that always mean the same: a number, or an id. Any other
// is a label that may move.
var pinned = regexp.MustCompile(`^([0-9]+|[0-9A-Fa-f-]{32,})$`)

// access uses the session that is there, whose token may have expired since; then it
// opens one with the caller's own. An SDK that panics over what a server answered, as
// Azure's does, fails this call and not the driver.
func (r *Resolver) access(ctx context.Context, req request) (value secret.Text, err error) {
	defer func() {
		if recover() != nil {
			r.sessions.Drop(req.identity)
			value, err = secret.Text{}, Unreachable("making sense of what the cloud answered")
		}
	}()
	session, found := r.sessions.Get(req.identity)
	if found {
		value, err = session.Access(ctx, req.ref)
		if ctx.Err() != nil {
			r.sessions.Drop(req.identity)
		}
	}
	if !found || errors.Is(err, provider.ErrUnauthenticated) {
		value, err = r.accessAnew(ctx, req)
	}
	if err != nil {
		return secret.Text{}, err
	}
	return value, checkPayload(value)
}

// accessAnew keeps the session once it has answered. What an SDK began under one that did
// not may hang, and every later call with it.
func (r *Resolver) accessAnew(ctx context.Context, req request) (secret.Text, error) {
	session, err := req.cloud.Open(req.subject)
	if err != nil {
		return secret.Text{}, err
	}
	value, err := session.Access(ctx, req.ref)
	if !errors.Is(err, provider.ErrUnauthenticated) && !errors.Is(err, provider.ErrUnavailable) {
		r.sessions.Put(req.identity, session, 1, r.config.SessionFor)
	}
	return value, err
}
