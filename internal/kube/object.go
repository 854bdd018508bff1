package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Objects reads and changes single Secrets and ConfigMaps. It takes the rights to get and to patch
// them, by name.
type Objects struct {
	client *rest.RESTClient
	clock  *serverClock
}

// NewObjects does not connect yet.
func NewObjects(config *rest.Config) (*Objects, error) {
	clock := &serverClock{}
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return listening{next, clock} })
	made, err := client(config, schema.GroupVersion{Version: "v1"})
	if err != nil {
		return nil, err
	}
	return &Objects{made, clock}, nil
}

// Get returns the version and the data of an object of the resource "secrets" or "configmaps", and
// what time it is to the API server. It fails with fs.ErrNotExist where there is no such object.
func (o *Objects) Get(ctx context.Context, resource, namespace, name string) (version string, data map[string][]byte, at time.Time, err error) {
	content, err := raw(ctx, o.client.Get().AbsPath(objectPath(resource, namespace, name)))
	if err != nil {
		return "", nil, time.Time{}, objectFault(err, "get "+resource)
	}
	var object struct {
		Metadata struct{ ResourceVersion string }
		Data     map[string]json.RawMessage
	}
	if err := json.Unmarshal(content, &object); err != nil {
		return "", nil, time.Time{}, fault(err, "")
	}
	data = make(map[string][]byte, len(object.Data))
	for key, raw := range object.Data {
		if data[key], err = textOf(resource, raw); err != nil {
			return "", nil, time.Time{}, fault(err, "")
		}
	}
	return object.Metadata.ResourceVersion, data, o.clock.now(), nil
}

// Put sets keys of an object that is still at version. Where it is not, done is false.
func (o *Objects) Put(ctx context.Context, resource, namespace, name, version string, data map[string][]byte) (done bool, err error) {
	values := make(map[string]any, len(data))
	for key, value := range data {
		values[key] = value // which JSON writes as base64, as Secrets have it
		if resource == configMaps {
			values[key] = string(value)
		}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": version}, "data": values})
	if err != nil {
		return false, fmt.Errorf("writing a patch: %w", err)
	}
	_, err = raw(ctx, o.client.Patch(types.MergePatchType).AbsPath(objectPath(resource, namespace, name)).Body(patch))
	switch {
	case err == nil:
		return true, nil
	case isStatus(err, http.StatusConflict):
		return false, nil
	default:
		return false, objectFault(err, "patch "+resource)
	}
}

const configMaps = "configmaps"

func objectPath(resource, namespace, name string) string {
	return "/api/v1/namespaces/" + url.PathEscape(namespace) + "/" + resource + "/" + url.PathEscape(name)
}

// textOf is a value of a Secret, which is base64, or of a ConfigMap.
func textOf(resource string, raw json.RawMessage) ([]byte, error) {
	if resource == configMaps {
		var text string
		err := json.Unmarshal(raw, &text)
		return []byte(text), err
	}
	var text []byte
	err := json.Unmarshal(raw, &text)
	return text, err
}

func objectFault(err error, right string) error {
	if isStatus(err, http.StatusNotFound) {
		return fs.ErrNotExist
	}
	return fault(err, right+": its service account has a role for that")
}

// serverClock is what time the API server said it is.
type serverClock struct{ said atomic.Pointer[saidTime] }

type saidTime struct{ server, own time.Time }

// now is core's own time where no server ever said what time it is.
func (c *serverClock) now() time.Time {
	if said := c.said.Load(); said != nil {
		return said.server.Add(time.Since(said.own))
	}
	return time.Now()
}

// listening notes the dates of answers.
type listening struct {
	http.RoundTripper
	clock *serverClock
}

func (l listening) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.RoundTripper.RoundTrip(request)
	if err == nil {
		if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			l.clock.said.Store(&saidTime{date, time.Now()})
		}
	}
	return response, err
}
