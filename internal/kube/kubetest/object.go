package kubetest

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// object is a Secret or a ConfigMap that the program under test gets and patches as itself.
type object struct {
	version int
	data    map[string]any
}

// Put has an object of the resource "secrets" or "configmaps" be there, with the data as JSON has it.
func (s *Server) Put(resource, namespace, name string, data map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := resource + "/" + namespace + "/" + name
	s.objects[key] = object{s.objects[key].version + 1, maps.Clone(data)}
}

// Remove takes an object away.
func (s *Server) Remove(resource, namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, resource+"/"+namespace+"/"+name)
}

// Data is what an object holds, as JSON has it, and how often it was written.
func (s *Server) Data(resource, namespace, name string) (data map[string]any, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.objects[resource+"/"+namespace+"/"+name]
	return maps.Clone(held.data), held.version
}

func (s *Server) getObject(w http.ResponseWriter, r *http.Request, resource string) {
	s.mu.Lock()
	held, found := s.objects[resource+"/"+r.PathValue("namespace")+"/"+r.PathValue("name")]
	s.mu.Unlock()
	if !found {
		Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	}
	respond(w, http.StatusOK, held.body())
}

// patchObject merges as a JSON merge patch does, at the version that the patch names.
func (s *Server) patchObject(resource string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var patch struct {
			Metadata struct{ ResourceVersion string }
			Data     map[string]any
		}
		if r.Header.Get("Content-Type") != "application/merge-patch+json" || json.NewDecoder(r.Body).Decode(&patch) != nil {
			Refuse(w, http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType)
			return
		}
		key := resource + "/" + r.PathValue("namespace") + "/" + r.PathValue("name")
		s.mu.Lock()
		held, found := s.objects[key]
		isAtVersion := patch.Metadata.ResourceVersion == "" || patch.Metadata.ResourceVersion == strconv.Itoa(held.version)
		if found && isAtVersion {
			merged := map[string]any{}
			maps.Copy(merged, held.data)
			maps.Copy(merged, patch.Data)
			maps.DeleteFunc(merged, func(_ string, value any) bool { return value == nil })
			held = object{held.version + 1, merged}
			s.objects[key] = held
		}
		s.mu.Unlock()
		switch {
		case !found:
			Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
		case !isAtVersion:
			Refuse(w, http.StatusConflict, metav1.StatusReasonConflict)
		default:
			respond(w, http.StatusOK, held.body())
		}
	}
}

func (o object) body() map[string]any {
	return map[string]any{"apiVersion": "v1", "metadata": map[string]any{"resourceVersion": strconv.Itoa(o.version)}, "data": o.data}
}
