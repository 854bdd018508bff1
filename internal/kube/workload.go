package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// podsOfAnAnswer is how many pods the API server is asked for at a time.
const podsOfAnAnswer = "500"

// mostOfPods is more than so many large ones take.
const mostOfPods = 64 << 20

// Workloads reads pods and DaemonSets, and of those no more than it tells.
type Workloads struct{ client *rest.RESTClient }

// NewWorkloads does not connect yet.
func NewWorkloads(config *rest.Config) (*Workloads, error) {
	made, err := clientWithin(mostOfPods, config, schema.GroupVersion{Version: "v1"})
	if err != nil {
		return nil, err
	}
	return &Workloads{made}, nil
}

// PodsWithVolume are the pods with an inline volume of the CSI driver, as NAMESPACE/NAME.
// Pods that have ended hold no volume. It takes the right to list pods of all namespaces.
func (w *Workloads) PodsWithVolume(ctx context.Context, driver string) (names []string, err error) {
	query := url.Values{"limit": {podsOfAnAnswer}}
	for {
		var list struct {
			Metadata struct{ Continue string }
			Items    []podWithVolumes
		}
		if err := w.get(ctx, "/api/v1/pods", query, "list pods", &list); err != nil {
			return nil, fmt.Errorf("listing pods: %w", err)
		}
		for _, pod := range list.Items {
			if pod.uses(driver) {
				names = append(names, pod.Metadata.Namespace+"/"+pod.Metadata.Name)
			}
		}
		if list.Metadata.Continue == "" {
			return names, nil
		}
		query.Set("continue", list.Metadata.Continue)
	}
}

type podWithVolumes struct {
	Metadata struct{ Namespace, Name string }
	Spec     struct {
		Volumes []struct{ CSI *struct{ Driver string } }
	}
	Status struct{ Phase string }
}

func (p podWithVolumes) uses(driver string) bool {
	if p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" {
		return false
	}
	for _, volume := range p.Spec.Volumes {
		if volume.CSI != nil && volume.CSI.Driver == driver {
			return true
		}
	}
	return false
}

// Rollout is how far a DaemonSet is.
type Rollout struct {
	// Nodes is how many should have its pod, Ready how many have one that is ready and, where
	// the DaemonSet replaces pods by itself, of its newest template.
	Nodes, Ready int
	// Known is false until the numbers are about the newest template.
	Known bool
}

// Done tells whether every node has what it should.
func (r Rollout) Done() bool { return r.Known && r.Ready >= r.Nodes }

// Rollout reads the state of a DaemonSet. It takes the right to get it.
func (w *Workloads) Rollout(ctx context.Context, namespace, name string) (Rollout, error) {
	var set struct {
		Metadata struct{ Generation int64 }
		Spec     struct {
			UpdateStrategy struct{ Type string }
		}
		Status struct {
			ObservedGeneration                                              int64
			DesiredNumberScheduled, UpdatedNumberScheduled, NumberAvailable int
		}
	}
	path := "/apis/apps/v1/namespaces/" + url.PathEscape(namespace) + "/daemonsets/" + url.PathEscape(name)
	if err := w.get(ctx, path, nil, "get daemonsets", &set); err != nil {
		return Rollout{}, fmt.Errorf("reading DaemonSet %s/%s: %w", namespace, name, err)
	}
	ready := min(set.Status.UpdatedNumberScheduled, set.Status.NumberAvailable)
	if set.Spec.UpdateStrategy.Type == "OnDelete" { // somebody deletes the old ones some time
		ready = set.Status.NumberAvailable
	}
	return Rollout{set.Status.DesiredNumberScheduled, ready, set.Status.ObservedGeneration >= set.Metadata.Generation}, nil
}

// get decodes only the fields that into has: the API's own types would come with all of
// their kind.
func (w *Workloads) get(ctx context.Context, path string, query url.Values, right string, into any) error {
	request := w.client.Get().AbsPath(path)
	for key := range query {
		request = request.Param(key, query.Get(key))
	}
	content, err := raw(ctx, request)
	if err != nil {
		return fault(err, right+": its service account has a role for that")
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fault(err, "")
	}
	return nil
}
