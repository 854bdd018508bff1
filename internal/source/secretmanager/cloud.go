// Package secretmanager resolves references into the clouds' secret managers, each
// under the identity of the pod that it is resolved for. It holds what the clouds
// have in common: sharing, caching, backing off. What a cloud's SDK does stands in a
// package of its own beneath.
package secretmanager

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Cloud opens sessions that read references.
type Cloud = Opener[Session]

// Session is what one pod may do at a cloud for a while.
type Session interface {
	Access(ctx context.Context, ref entry.Reference) (secret.Text, error)
}

// Subject is whom a session is for. Everything that decides its cloud identity is in
// here, and all of it but the tokens is part of every cache's key.
type Subject struct {
	Pod provider.Identity
	// Annotations are those of the pod's service account that the cloud asked for.
	Annotations map[string]string
	// Role and Location are the reference's.
	Role, Location string
}

// Annotations reads the annotations of a service account. An error means that they
// cannot be read now; it names the service account, says why, and holds no secret. A
// service account without any has an empty map, and of one that does not exist the error is NoAccount's.
type Annotations func(ctx context.Context, namespace, serviceAccount string) (map[string]string, error)

// Token returns the pod's token for an audience.
func (s Subject) Token(audience string) (secret.Text, error) {
	token := s.Pod.CloudTokens[audience]
	if token.Len() == 0 {
		return secret.Text{}, &Failure{Kind: provider.ErrUnauthenticated, Text: s.Pod.Lacks(audience)}
	}
	return token, nil
}

// Account is what messages call the pod's service account.
func (s Subject) Account() string {
	return "service account " + s.Pod.Namespace + "/" + s.Pod.ServiceAccount
}

// Annotated returns an annotation of the pod's service account. One that is not sound is a Failure, which says what
// it is not.
func (s Subject) Annotated(annotation string, isSound func(string) bool, not string) (value string, set bool, err error) {
	value, set = s.Annotations[annotation]
	if set && !isSound(value) {
		return "", false, Unusable("annotation " + annotation + " of " + s.Account() + " is " + not + "; correct or remove it")
	}
	return value, set, nil
}

// maxPayload is the most that any of the three clouds stores.
const maxPayload = 64 << 10

// checkPayload refuses what no field of a connection can hold.
func checkPayload(payload secret.Text) error {
	value := payload.Reveal()
	switch {
	case value == "":
		return Unusable("the secret is empty; store the key in it")
	case len(value) > maxPayload:
		return Unusable("the secret is larger than 64 KiB; store the key alone")
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return Unusable("the secret is binary; store the key as text")
	}
	return nil
}
