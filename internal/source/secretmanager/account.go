package secretmanager

import (
	"context"

	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// annotations returns those that the cloud asked for.
func (r *Resolver) annotations(ctx context.Context, cloud Cloud, pod provider.Identity) (map[string]string, error) {
	wanted := map[string]string{}
	if r.config.Annotations == nil {
		return wanted, nil
	}
	known, err := r.account(ctx, pod)
	if err != nil {
		return nil, err
	}
	copyAnnotations(wanted, known, cloud)
	return wanted, nil
}

func copyAnnotations(to, from map[string]string, cloud Cloud) {
	for _, name := range cloud.Annotations() {
		if value, set := from[name]; set {
			to[name] = value
		}
	}
}

// account returns the annotations of the pod's service account that any cloud asks for;
// many pods that start at once ask the API server once.
func (r *Resolver) account(ctx context.Context, pod provider.Identity) (map[string]string, error) {
	key := r.keyer.account(pod)
	if known, found := r.accounts.Get(key); found {
		return known, nil
	}
	read, _, err := r.flights.join(ctx, key, func() (any, error) {
		known, err := r.readAccount(ctx, pod)
		if err != nil {
			return nil, err
		}
		r.accounts.Put(key, known, 1, r.config.AnnotationsFor)
		return known, nil
	})
	known, _ := read.(map[string]string)
	return known, err
}

// readAccount outlives the caller that began it, because others may have joined.
func (r *Resolver) readAccount(ctx context.Context, pod provider.Identity) (known map[string]string, err error) {
	at := outage.Scope{Caller: pod.Namespace}
	call, why := r.apiServer.admit(at)
	if why != nil { // which names somebody else's service account
		return nil, &Failure{Kind: provider.ErrUnavailable,
			Text: "reading service account " + pod.Namespace + "/" + pod.ServiceAccount + ": the API server does not answer"}
	}
	verdict := outage.Undecided // of a panic
	defer func() { r.apiServer.called(call, verdict, err) }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.CallTimeout)
	defer cancel()
	all, err := r.config.Annotations(ctx, pod.Namespace, pod.ServiceAccount)
	if err != nil && ctx.Err() != nil {
		verdict = outage.Unanswered
	} else {
		verdict = outage.Answered // with whatever it says of this service account
	}
	if err != nil {
		return nil, &Failure{Kind: provider.ErrUnavailable, Text: err.Error()}
	}
	// Others may be long: a service account has room for 256 KiB.
	known = map[string]string{}
	for _, cloud := range r.config.Clouds {
		copyAnnotations(known, all, cloud)
	}
	return known, nil
}
