// Package kube makes the few calls to the Kubernetes API that this project needs. It
// keeps away from client-go's clientset, which brings every type of the API along.
package kube

import (
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/leoflow/secrets-csi/internal/apiserver"
	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/internal/version"
)

const (
	// callTimeout ends a call that its caller's context would let go on.
	callTimeout = 10 * time.Second
	// retries is how often a call is made again that the server put off by Retry-After.
	retries = 2
)

// Config is how to reach the API server and as whom: by a kubeconfig file or, where
// none is named, as the pod's own service account.
func Config(kubeconfig string) (*rest.Config, error) {
	config, err := load(kubeconfig)
	if err != nil {
		return nil, err
	}
	// The server bounds what it takes, by API Priority and Fairness. client-go's limit, five
	// calls a second, would only make pods wait for one another; a node has a Pace.
	config.QPS = -1
	config.Timeout = callTimeout
	config.UserAgent = "leoflow-secrets-csi/" + version.Version
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

func load(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("finding Kubernetes: no kubeconfig file is named, and this is no pod: %w", err)
		}
		return config, nil
	}
	file, err := regular.Open(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig file: %w", err)
	}
	_ = file.Close()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig file: %w", err)
	}
	return config, nil
}

// client speaks one group and version of the API, with the types that register adds.
func client(config *rest.Config, version schema.GroupVersion, register ...func(*runtime.Scheme) error) (*rest.RESTClient, error) {
	return clientWithin(mostAnswer, config, version, register...)
}

func clientWithin(most int64, config *rest.Config, version schema.GroupVersion, register ...func(*runtime.Scheme) error) (*rest.RESTClient, error) {
	bound := func(next http.RoundTripper) http.RoundTripper { return bounded{next, most} }
	return apiserver.NewClient(config, version, bound, register...)
}
