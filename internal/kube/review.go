package kube

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// TokenReviews asks the API server whom a token speaks for. It takes the right to
// create tokenreviews, which the ClusterRole system:auth-delegator has.
type TokenReviews struct{ client *rest.RESTClient }

// NewTokenReviews does not connect yet.
func NewTokenReviews(config *rest.Config) (*TokenReviews, error) {
	made, err := client(config, authenticationv1.SchemeGroupVersion, authenticationv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	return &TokenReviews{made}, nil
}

// Review is what the server says of token for one audience. An error means that the
// server does not tell; it holds nothing of the token.
func (t *TokenReviews) Review(ctx context.Context, token secret.Text, audience string) (authenticationv1.TokenReviewStatus, error) {
	review := authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token.Reveal(), Audiences: []string{audience}},
	}
	var answer authenticationv1.TokenReview
	err := t.client.Post().Resource("tokenreviews").MaxRetries(retries).Body(&review).Do(ctx).Into(&answer)
	if err != nil {
		const right = "create tokenreviews: bind its service account to the ClusterRole system:auth-delegator"
		return authenticationv1.TokenReviewStatus{}, fault(err, right)
	}
	return answer.Status, nil
}
