package secretmanager

import (
	"context"
	"errors"
	"regexp"

	"github.com/leoflow/secrets-csi/internal/cache"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// overhead is about what a cache takes to keep a value, besides the value.
const overhead = 256

// Resolver implements provider.Resolver. Pods of one service account that ask for one
// reference share the call and what it brought; nothing is ever shared beyond that.
type Resolver struct {
	config Config
	doors  map[string]*Door[Session]
	// accounts are the service accounts of pods.
	accounts *accounts
	values   *cache.Cache[Key, secret.Text]
	flights  flights
}

var _ provider.Resolver = (*Resolver)(nil)

// New returns a Resolver that is ready to use and has nothing to close.
func New(config Config) *Resolver {
	config = withDefaults(config)
	r := &Resolver{config: config, doors: map[string]*Door[Session]{}, values: cache.New[Key, secret.Text](config.CacheBytes, nil)}
	var wanted []string
	for _, cloud := range config.Clouds {
		wanted = append(wanted, cloud.Annotations()...)
	}
	known := newAccounts(config, newKeyer(), wanted)
	r.accounts = known
	for name, cloud := range config.Clouds {
		r.doors[name] = newDoor(name, cloud, config, known)
	}
	return r
}

// Resolve implements provider.Resolver.
func (r *Resolver) Resolve(ctx context.Context, pod provider.Identity, ref entry.Reference) (secret.Text, error) {
	door := r.doors[ref.Cloud]
	if door == nil {
		return secret.Text{}, Unusable("references into " + ref.Cloud + " are not enabled on this node; have them enabled, or go keyless")
	}
	if ref.Version == "latest" {
		ref.Version = ""
	}
	if part, reason := ref.Fault(); part != "" {
		return secret.Text{}, Unusable("the reference's " + string(part) + " " + reason)
	}
	caller, err := door.Admit(ctx, pod, ref.Role, ref.Location)
	if err != nil {
		return secret.Text{}, err
	}
	return r.share(ctx, request{door, caller, ref})
}

// request is one call to Resolve, and the identity that it is made under.
type request struct {
	door   *Door[Session]
	caller Caller
	ref    entry.Reference
}

// share joins a call that is under way for the same identity and reference, or makes
// one. A call that failed for want of a good token may have failed for somebody
// else's: whoever joined it then tries with their own, once.
func (r *Resolver) share(ctx context.Context, req request) (secret.Text, error) {
	key := req.door.keyer.value(req.caller.identity, req.ref)
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
func (r *Resolver) fetch(ctx context.Context, key Key, req request) (any, error) {
	if value, found := r.values.Get(key); found {
		return value, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.Timeout)
	defer cancel()
	value, err := Call(ctx, req.door, req.caller, req.ref.Location+"/"+req.ref.Region, func(ctx context.Context, session Session) (secret.Text, error) {
		value, err := session.Access(ctx, req.ref)
		if err == nil {
			err = checkPayload(value)
		}
		return value, err
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
