package kubetest

import (
	"encoding/json"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Events are those that the server holds.
func (s *Server) Events() []corev1.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := make([]corev1.Event, 0, len(s.events))
	for _, event := range s.events {
		events = append(events, event)
	}
	return events
}

func (s *Server) createEvent(w http.ResponseWriter, r *http.Request) {
	var event corev1.Event
	err := json.NewDecoder(r.Body).Decode(&event)
	if err != nil || event.Name == "" || event.InvolvedObject.Namespace != r.PathValue("namespace") {
		Refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}
	s.keepEvent(w, http.StatusCreated, r.PathValue("namespace")+"/"+event.Name, event)
}

// patchEvent merges the fields of the patch over those that are there, as the server
// does with fields that are no lists.
func (s *Server) patchEvent(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("namespace") + "/" + r.PathValue("name")
	s.mu.Lock()
	event, found := s.events[key]
	s.mu.Unlock()
	switch {
	case !found:
		Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	case r.Header.Get("Content-Type") != "application/strategic-merge-patch+json" || json.NewDecoder(r.Body).Decode(&event) != nil:
		Refuse(w, http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType)
	default:
		s.keepEvent(w, http.StatusOK, key, event)
	}
}

func (s *Server) keepEvent(w http.ResponseWriter, code int, key string, event corev1.Event) {
	s.mu.Lock()
	s.events[key] = event
	s.mu.Unlock()
	event.Kind, event.APIVersion = "Event", "v1"
	respond(w, code, event)
}
