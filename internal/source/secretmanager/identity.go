package secretmanager

import (
	"context"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Shower is a Cloud that pods can show their own identity to, by files.
type Shower interface {
	// Show is how, for a subject of which no token is needed: the identity, and the text of its
	// configuration. Its error is a Failure.
	Show(subject Subject) (identity entry.Identity, config string, err error)
}

// HasIdentity tells whether pods can show their own identity to the cloud.
func (r *Resolver) HasIdentity(cloud string) bool {
	_, is := r.config.Clouds[cloud].(Shower)
	return is
}

// Identity is how the pod shows its own identity to the cloud. Its error is a Failure; it is unavailable
// while the pod's service account cannot be read.
func (r *Resolver) Identity(ctx context.Context, pod provider.Identity, cloud string) (identity entry.Identity, config string, err error) {
	shower, is := r.config.Clouds[cloud].(Shower)
	if !is {
		return identity, "", Unusable("identities at " + cloud + " are not enabled on this node; have the cloud enabled")
	}
	annotations, err := r.accounts.annotations(ctx, r.config.Clouds[cloud].Annotations(), pod)
	if err != nil {
		return identity, "", err
	}
	return shower.Show(Subject{Pod: pod, Annotations: annotations})
}
