package provider

import (
	"context"
	"errors"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Reference points at a secret in a cloud's secret manager. It is policy's Reference,
// field for field, so that delivery converts one to the other and neither package
// needs to know the other.
type Reference struct {
	// Cloud is "gcp", "aws" or "azure".
	Cloud string
	// Name is the secret's name, or its ARN.
	Name string
	// Location is the project (GCP; PROJECT/locations/REGION for a regional secret), region
	// (AWS) or vault URL (Azure).
	Location string
	// Version is empty for the latest.
	Version string
	// Role is the ARN of the AWS role to fetch it under, where the connection names
	// one; otherwise the service account's annotation decides.
	Role string
}

// Resolver fetches what a Reference points at, under the pod's identity and no other.
//
// An error wraps one of the sentinels of Fetch, or ErrMissing, or none of them where
// the secret exists and cannot be used. Like a Fetch, it honours ctx, is safe for
// concurrent use and never puts a value or a token into an error.
type Resolver interface {
	Resolve(ctx context.Context, pod Identity, ref Reference) (secret.Text, error)
}

// ErrMissing is returned by Resolve alone: the secret, or that version of it, does not
// exist. Fetch says the same by a Refusal.
var ErrMissing = errors.New("missing")
