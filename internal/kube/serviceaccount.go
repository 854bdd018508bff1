package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/internal/apiserver"
)

// ServiceAccounts reads service accounts. It takes the right to get them.
type ServiceAccounts struct{ client *rest.RESTClient }

// NewServiceAccounts does not connect yet.
func NewServiceAccounts(config *rest.Config) (*ServiceAccounts, error) {
	// Of an object that nothing but its metadata is wanted of, the server sends nothing
	// else.
	config = rest.CopyConfig(config)
	config.AcceptContentTypes = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	made, err := client(config, schema.GroupVersion{Version: "v1"})
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
	content, err := raw(apiserver.For(ctx, namespace), s.client.Get().Namespace(namespace).Resource("serviceaccounts").Name(serviceAccount))
	// A pod waits for this, and Kubernetes' own decoder takes as long as the way there.
	var answer struct {
		Metadata struct {
			Name        string            `json:"name"`
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err == nil {
		err = json.Unmarshal(content, &answer)
	}
	if err == nil && answer.Metadata.Name != serviceAccount {
		err = errors.New("the answer is of something else")
	}
	switch {
	case isStatus(err, http.StatusNotFound):
		return nil, fmt.Errorf("reading service account %s/%s: %w", namespace, serviceAccount, ErrNoServiceAccount)
	case err != nil:
		return nil, fmt.Errorf("reading service account %s/%s: %w", namespace, serviceAccount, fault(err, "get serviceaccounts: grant that to its own"))
	case answer.Metadata.Annotations == nil:
		return map[string]string{}, nil
	}
	return answer.Metadata.Annotations, nil
}
