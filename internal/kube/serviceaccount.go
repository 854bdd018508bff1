package kube

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// ServiceAccounts reads service accounts. It takes the right to get them.
type ServiceAccounts struct{ client *rest.RESTClient }

// NewServiceAccounts does not connect yet.
func NewServiceAccounts(config *rest.Config) (*ServiceAccounts, error) {
	// Of an object that nothing but its metadata is wanted of, the server sends nothing
	// else.
	config = rest.CopyConfig(config)
	config.AcceptContentTypes = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	made, err := client(config, schema.GroupVersion{Version: "v1"}, func(scheme *runtime.Scheme) error {
		metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
		return metav1.AddMetaToScheme(scheme)
	})
	if err != nil {
		return nil, err
	}
	return &ServiceAccounts{made}, nil
}

// ErrNoServiceAccount is the error of Annotations where there is no such service account.
var ErrNoServiceAccount = errors.New("there is no such service account")

// Annotations are those of a service account; without any it has an empty map. Any error but
// ErrNoServiceAccount means that they cannot be read now.
func (s *ServiceAccounts) Annotations(ctx context.Context, namespace, serviceAccount string) (map[string]string, error) {
	var answer metav1.PartialObjectMetadata
	err := s.client.Get().Namespace(namespace).Resource("serviceaccounts").Name(serviceAccount).
		MaxRetries(retries).Do(on(ctx, namespace)).Into(&answer)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("reading service account %s/%s: %w", namespace, serviceAccount, ErrNoServiceAccount)
	case err != nil:
		return nil, fmt.Errorf("reading service account %s/%s: %w", namespace, serviceAccount, fault(err, "get serviceaccounts: grant that to its own"))
	}
	if answer.Annotations == nil {
		return map[string]string{}, nil
	}
	return answer.Annotations, nil
}
