package kubetest

import (
	"net/http"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Store keeps a Secret that one service account of its namespace may get.
func (s *Server) Store(serviceAccount string, secret corev1.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[secret.Namespace+"/"+serviceAccount+"/"+secret.Name] = secret
}

// secret answers the program under test, and pods by their own tokens, with the metadata alone if they
// want no more.
func (s *Server) secret(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "Bearer "+credentials {
		s.getObject(w, r, "secrets")
		return
	}
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	status := s.status(authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{Audience}}, time.Now())
	if !status.Authenticated {
		Refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized)
		return
	}
	parts := strings.Split(status.User.Username, ":") // system:serviceaccount:NAMESPACE:NAME
	s.mu.Lock()
	found, allowed := s.secrets[namespace+"/"+parts[3]+"/"+name]
	s.mu.Unlock()
	if !allowed || parts[2] != namespace {
		Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata;") {
		respond(w, http.StatusOK, metav1.PartialObjectMetadata{
			TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/v1"}, ObjectMeta: found.ObjectMeta,
		})
		return
	}
	found.Kind, found.APIVersion = "Secret", "v1"
	respond(w, http.StatusOK, found)
}
