package secretmanager

import (
	"context"
	"errors"

	"github.com/leoflow/secrets-csi/internal/cache"
	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// accounts are the annotations of service accounts, by which pods have their identities.
type accounts struct {
	config  Config
	keyer   keyer
	flights flights
	// wanted are the annotations that anybody asks for.
	wanted []string
	known  *cache.Cache[Key, map[string]string]
	// apiServer is where annotations are read.
	apiServer *outages
}

func newAccounts(config Config, keys keyer, wanted []string) *accounts {
	return &accounts{
		config: config, keyer: keys, wanted: wanted,
		known: cache.New[Key, map[string]string](maxSessions, nil), apiServer: newOutages(retryAway),
	}
}

// annotations returns those of these names that the pod's service account has.
func (a *accounts) annotations(ctx context.Context, names []string, pod provider.Identity) (map[string]string, error) {
	wanted := map[string]string{}
	if a.config.Annotations == nil || len(names) == 0 {
		return wanted, nil
	}
	known, err := a.account(ctx, pod)
	if err != nil {
		return nil, err
	}
	copyAnnotations(wanted, known, names)
	return wanted, nil
}

func copyAnnotations(to, from map[string]string, names []string) {
	for _, name := range names {
		if value, set := from[name]; set {
			to[name] = value
		}
	}
}

// account returns the annotations of the pod's service account that anybody asks for;
// many pods that start at once ask the API server once.
func (a *accounts) account(ctx context.Context, pod provider.Identity) (map[string]string, error) {
	key := a.keyer.account(pod)
	if known, found := a.known.Get(key); found {
		return known, nil
	}
	read, _, err := a.flights.join(ctx, key, func() (any, error) {
		known, err := a.read(ctx, pod)
		if err != nil {
			return nil, err
		}
		a.known.Put(key, known, 1, a.config.AnnotationsFor)
		return known, nil
	})
	known, _ := read.(map[string]string)
	return known, err
}

// read outlives the caller that began it, because others may have joined.
func (a *accounts) read(ctx context.Context, pod provider.Identity) (known map[string]string, err error) {
	at := outage.Scope{Caller: pod.Namespace}
	call, why := a.apiServer.admit(at)
	if why != nil { // which names somebody else's service account
		return nil, &Failure{Kind: provider.ErrUnavailable,
			Text: "reading service account " + pod.Namespace + "/" + pod.ServiceAccount + ": the API server does not answer"}
	}
	verdict := outage.Undecided // of a panic
	defer func() { a.apiServer.called(call, verdict, err) }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.CallTimeout)
	defer cancel()
	all, err := a.config.Annotations(ctx, pod.Namespace, pod.ServiceAccount)
	if err != nil && ctx.Err() != nil {
		verdict = outage.Unanswered
	} else {
		verdict = outage.Answered // with whatever it says of this service account
	}
	var failure *Failure
	switch {
	case errors.As(err, &failure):
		return nil, failure
	case err != nil:
		return nil, &Failure{Kind: provider.ErrUnavailable, Text: err.Error()}
	}
	// Others may be long: a service account has room for 256 KiB.
	known = map[string]string{}
	copyAnnotations(known, all, a.wanted)
	return known, nil
}
