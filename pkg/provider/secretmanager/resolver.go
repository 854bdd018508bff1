package secretmanager

import (
	"context"
	"errors"
	"regexp"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Config is what a Resolver is made of. A zero duration or number takes its default.
type Config struct {
	// Clouds are those in use, by their name in references: "gcp", "aws", "azure".
	Clouds map[string]Cloud
	// Annotations reads service accounts; nil where none has any.
	Annotations Annotations
	// LatestFor is how long the latest version of a secret is taken for the latest;
	// a minute by default.
	LatestFor time.Duration
	// PinnedFor is how long a secret of a given version is kept, which is how long a
	// right that was taken away is not noticed; ten minutes by default.
	PinnedFor time.Duration
	// SessionFor is how long a session is used, and with it the pod's token that it was
	// opened with; ten minutes by default.
	SessionFor time.Duration
	// CacheBytes bounds the secrets kept; 4 MiB by default.
	CacheBytes int
	// CallsAtOnce bounds the calls to one cloud that are under way; 16 by default.
	CallsAtOnce int
	// Timeout bounds one call, CallTimeout one attempt of it; 20 and 5 seconds by
	// default.
	Timeout, CallTimeout time.Duration
}

// maxSessions is more than a node has service accounts in use.
const maxSessions = 1024

// Resolver implements provider.Resolver. Pods of one service account that ask for one
// reference share the call and what it brought; nothing is ever shared beyond that.
type Resolver struct {
	config   Config
	keyer    keyer
	paces    map[string]*pace
	sessions *cache[Session]
	values   *cache[secret.Text]
	flights  singleflight.Group
}

var _ provider.Resolver = (*Resolver)(nil)

// New returns a Resolver that is ready to use and has nothing to close.
func New(config Config) *Resolver {
	config.LatestFor = orDefault(config.LatestFor, time.Minute)
	config.PinnedFor = orDefault(config.PinnedFor, 10*time.Minute)
	config.SessionFor = orDefault(config.SessionFor, 10*time.Minute)
	config.CacheBytes = orDefault(config.CacheBytes, 4<<20)
	config.CallsAtOnce = orDefault(config.CallsAtOnce, 16)
	config.Timeout = orDefault(config.Timeout, 20*time.Second)
	config.CallTimeout = orDefault(config.CallTimeout, 5*time.Second)
	r := &Resolver{
		config: config, keyer: newKeyer(), paces: map[string]*pace{},
		sessions: newCache[Session](maxSessions),
		values:   newCache[secret.Text](config.CacheBytes),
	}
	for name := range config.Clouds {
		r.paces[name] = newPace(config.CallsAtOnce)
	}
	return r
}

func orDefault[T int | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// Resolve implements provider.Resolver.
func (r *Resolver) Resolve(ctx context.Context, pod provider.Identity, ref provider.Reference) (secret.Text, error) {
	cloud := r.config.Clouds[ref.Cloud]
	if cloud == nil {
		return secret.Text{}, Unusable("references into " + ref.Cloud + " are not enabled on this node; have them enabled, or go keyless")
	}
	if ref.Version == "latest" {
		ref.Version = ""
	}
	if err := cloud.Validate(ref); err != nil {
		return secret.Text{}, err
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
	ref      provider.Reference
	identity cacheKey
}

func (r *Resolver) annotations(ctx context.Context, cloud Cloud, pod provider.Identity) (map[string]string, error) {
	wanted := map[string]string{}
	if r.config.Annotations == nil {
		return wanted, nil
	}
	all, err := r.config.Annotations(ctx, pod.Namespace, pod.ServiceAccount)
	if err != nil {
		return nil, &Failure{Kind: provider.ErrUnavailable,
			Text: "reading the annotations of service account " + pod.Namespace + "/" + pod.ServiceAccount}
	}
	for _, name := range cloud.Annotations() {
		if value, set := all[name]; set {
			wanted[name] = value
		}
	}
	return wanted, nil
}

// share joins a call that is under way for the same identity and reference, or makes
// one. A call that failed for want of a good token may have failed for somebody
// else's: whoever joined it then tries with their own, once.
func (r *Resolver) share(ctx context.Context, req request) (secret.Text, error) {
	key := r.keyer.value(req.identity, req.ref)
	for joined := 0; ; joined++ {
		if value, found := r.values.get(key); found {
			return value, nil
		}
		led := false
		flight := r.flights.DoChan(string(key[:]), func() (any, error) {
			led = true
			return r.fetch(ctx, key, req)
		})
		select {
		case <-ctx.Done():
			return secret.Text{}, givenUp(ctx)
		case result := <-flight:
			if errors.Is(result.Err, provider.ErrUnauthenticated) && !led && joined == 0 {
				continue
			}
			value, _ := result.Val.(secret.Text)
			return value, result.Err
		}
	}
}

// fetch asks the cloud. It outlives the caller that began it, because others may have
// joined.
func (r *Resolver) fetch(ctx context.Context, key cacheKey, req request) (any, error) {
	if value, found := r.values.get(key); found {
		return value, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.Timeout)
	defer cancel()
	var value secret.Text
	err := r.paces[req.ref.Cloud].try(ctx, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, r.config.CallTimeout)
		defer cancel()
		value, err = r.access(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	lasting := r.config.LatestFor
	if pinned.MatchString(req.ref.Version) {
		lasting = r.config.PinnedFor
	}
	r.values.put(key, value, value.Len(), lasting)
	return value, nil
}

// pinned matches the versions that always mean the same: a number, or an id. Any other
// is a label that may move.
var pinned = regexp.MustCompile(`^([0-9]+|[0-9A-Fa-f-]{32,})$`)

// access uses the session that is there, whose token may have expired since; then it
// opens one with the caller's own.
func (r *Resolver) access(ctx context.Context, req request) (secret.Text, error) {
	value, err := secret.Text{}, error(nil)
	session, found := r.sessions.get(req.identity)
	if found {
		value, err = session.Access(ctx, req.ref)
	}
	if !found || errors.Is(err, provider.ErrUnauthenticated) {
		value, err = r.accessAnew(ctx, req)
	}
	if err != nil {
		return secret.Text{}, err
	}
	return value, checkPayload(value)
}

func (r *Resolver) accessAnew(ctx context.Context, req request) (secret.Text, error) {
	session, err := req.cloud.Open(req.subject)
	if err != nil {
		return secret.Text{}, err
	}
	value, err := session.Access(ctx, req.ref)
	if !errors.Is(err, provider.ErrUnauthenticated) {
		r.sessions.put(req.identity, session, 1, r.config.SessionFor)
	}
	return value, err
}
