package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Nodes takes taints off nodes. It takes the rights to get csinodes, and to get and patch nodes.
type Nodes struct{ client *rest.RESTClient }

// NewNodes does not connect yet.
func NewNodes(config *rest.Config) (*Nodes, error) {
	made, err := client(config, schema.GroupVersion{Version: "v1"})
	if err != nil {
		return nil, err
	}
	return &Nodes{made}, nil
}

// HasDriver tells whether kubelet has written the CSI driver into the node's CSINode, from when on
// the scheduler and kubelet know it there.
func (n *Nodes) HasDriver(ctx context.Context, node, driver string) (bool, error) {
	var object struct {
		Spec struct{ Drivers []struct{ Name string } }
	}
	content, err := raw(ctx, n.client.Get().AbsPath("/apis/storage.k8s.io/v1/csinodes/"+url.PathEscape(node)))
	switch {
	case isStatus(err, http.StatusNotFound): // kubelet has yet to make it
		return false, nil
	case err != nil:
		return false, fault(err, "get csinodes: its service account has a role for that")
	case json.Unmarshal(content, &object) != nil:
		return false, errors.New("the API server answers with no CSINode")
	}
	for _, each := range object.Spec.Drivers {
		if each.Name == driver {
			return true, nil
		}
	}
	return false, nil
}

// RemoveTaint takes every taint with the key off the node, whatever its value and effect, and tells
// whether there was one. Where somebody else changed the node meanwhile, it looks again.
func (n *Nodes) RemoveTaint(ctx context.Context, node, key string) (removed bool, err error) {
	const attempts = 10
	for range attempts {
		removed, err = n.removeTaint(ctx, node, key)
		if !isStatus(err, http.StatusConflict) {
			break
		}
	}
	if err != nil {
		return false, fault(err, "get or patch nodes: its service account has a role for that, and an admission policy lets it change its own node alone")
	}
	return removed, nil
}

func (n *Nodes) removeTaint(ctx context.Context, node, key string) (removed bool, err error) {
	path := "/api/v1/nodes/" + url.PathEscape(node)
	content, err := raw(ctx, n.client.Get().AbsPath(path))
	if err != nil {
		return false, err
	}
	var object struct {
		Metadata struct{ ResourceVersion string }
		Spec     struct{ Taints []json.RawMessage }
	}
	if err := json.Unmarshal(content, &object); err != nil {
		return false, err
	}
	rest := []json.RawMessage{} // which are handed back as they came
	for _, taint := range object.Spec.Taints {
		var found struct{ Key string }
		if err := json.Unmarshal(taint, &found); err != nil {
			return false, err
		}
		if found.Key != key {
			rest = append(rest, taint)
		}
	}
	if len(rest) == len(object.Spec.Taints) {
		return false, nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]string{"resourceVersion": object.Metadata.ResourceVersion}, "spec": map[string]any{"taints": rest},
	})
	if err != nil {
		return false, fmt.Errorf("writing a patch: %w", err)
	}
	_, err = raw(ctx, n.client.Patch(types.MergePatchType).AbsPath(path).Body(patch))
	return err == nil, err
}
