package provider

import (
	"context"
	"errors"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Resolver fetches what a reference points at, under the pod's identity and no other.
//
// An error wraps one of the sentinels of Fetch, or ErrMissing, or none of them where
// the secret exists and cannot be used. Like a Fetch, it honours ctx, is safe for
// concurrent use and never puts a value or a token into an error.
type Resolver interface {
	Resolve(ctx context.Context, pod Identity, ref entry.Reference) (secret.Text, error)
}

// ErrMissing is returned by Resolve alone.
var ErrMissing = call.ErrMissing

// ErrNoIdentity is of a pod whose service account does not say who the pod is at a cloud.
var ErrNoIdentity = errors.New("no identity is named")
