// Package apiserver is what every client of the Kubernetes API server here has alike: how it is made, who its
// calls are for, and how the API server's refusals are told from those of what stands before it. A source
// may know this much and not package kube, which is for mains.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/klog/v2"

	"github.com/leoflow/secrets-csi/internal/turn"
)

// NewClient speaks one group and version of the API, as JSON, and bounds what it is answered by bound. It knows
// the types that register adds; client-go's clientset would bring every type of the API along.
func NewClient(config *rest.Config, version schema.GroupVersion, bound transport.WrapperFunc, register ...func(*runtime.Scheme) error) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	types := runtime.SchemeBuilder(register)
	if err := types.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("knowing the types of %s: %w", version, err)
	}
	config = rest.CopyConfig(config)
	config.GroupVersion = &version
	config.APIPath = "/apis"
	if version.Group == "" {
		config.APIPath = "/api"
	}
	config.ContentType = runtime.ContentTypeJSON
	config.Wrap(bound)
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	made, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("configuring the client of Kubernetes: %w", err)
	}
	return made, nil
}

// For is a context for calls on behalf of the pods of a namespace. client-go would log the address
// of each call that waits for its turn, past this program's own log.
func For(ctx context.Context, namespace string) context.Context {
	return klog.NewContext(turn.For(ctx, namespace), klog.New(nil))
}

// IsOfIntermediary tells the refusal of a proxy or a load balancer before the API server, which itself refuses by
// a Status. A failure (5xx) or "too many requests" may be of either.
func IsOfIntermediary(err error) bool {
	var answer apierrors.APIStatus
	return errors.As(err, &answer) && answer.Status().Code < http.StatusInternalServerError &&
		apierrors.IsUnexpectedServerError(err) && !apierrors.IsTooManyRequests(err)
}
