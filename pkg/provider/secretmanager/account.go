package secretmanager

import (
	"context"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// annotations returns those that the cloud asked for.
func (r *Resolver) annotations(ctx context.Context, cloud Cloud, pod provider.Identity) (map[string]string, error) {
	wanted := map[string]string{}
	if r.config.Annotations == nil {
		return wanted, nil
	}
	all, err := r.account(ctx, pod)
	if err != nil {
		return nil, err
	}
	for _, name := range cloud.Annotations() {
		if value, set := all[name]; set {
			wanted[name] = value
		}
	}
	return wanted, nil
}

// account returns all annotations of the pod's service account; many pods that start
// at once ask the API server once.
func (r *Resolver) account(ctx context.Context, pod provider.Identity) (map[string]string, error) {
	key := r.keyer.account(pod)
	if all, found := r.accounts.get(key); found {
		return all, nil
	}
	flight := r.flights.DoChan(string(key[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.CallTimeout)
		defer cancel()
		all, err := r.config.Annotations(ctx, pod.Namespace, pod.ServiceAccount)
		if err != nil {
			return nil, &Failure{Kind: provider.ErrUnavailable, Text: err.Error()}
		}
		r.accounts.put(key, all, 1, r.config.AnnotationsFor)
		return all, nil
	})
	select {
	case <-ctx.Done():
		return nil, givenUp(ctx)
	case result := <-flight:
		all, _ := result.Val.(map[string]string)
		return all, result.Err
	}
}
