package kube

import (
	"context"
	"errors"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/client-go/rest"
)

// mostKeyBytes is more than any cluster's set of keys takes.
const mostKeyBytes = 1 << 20

// IssuerKeys fetches the public keys by which the cluster signs service-account tokens. Every
// service account may read them, by the ClusterRole system:service-account-issuer-discovery.
type IssuerKeys struct{ client *rest.RESTClient }

// NewIssuerKeys does not connect yet.
func NewIssuerKeys(config *rest.Config) (*IssuerKeys, error) {
	made, err := client(config, authenticationv1.SchemeGroupVersion, authenticationv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	return &IssuerKeys{made}, nil
}

// Keys is the set as the server publishes it, a JWKS.
func (k *IssuerKeys) Keys(ctx context.Context) ([]byte, error) {
	text, err := raw(ctx, k.client.Get().AbsPath("/openid/v1/jwks"))
	switch {
	case err != nil:
		const right = "read the keys of its tokens: bind its service account to the ClusterRole system:service-account-issuer-discovery"
		return nil, fault(err, right)
	case len(text) > mostKeyBytes:
		return nil, errors.New("what the API server answers makes no sense")
	}
	return text, nil
}
