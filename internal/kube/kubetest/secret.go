package kubetest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Store keeps a Secret that one service account of its namespace may get.
func (s *Server) Store(serviceAccount string, secret corev1.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[secret.Namespace+"/"+serviceAccount+"/"+secret.Name] = secret
}

// MayList lets a service account list the Secrets of its namespace, and so read them all.
func (s *Server) MayList(namespace, serviceAccount string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listers[namespace+"/"+serviceAccount] = true
}

// account is whose token a request shows; false if it was refused.
func (s *Server) account(w http.ResponseWriter, r *http.Request) (namespace, name string, known bool) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	status := s.status(authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{Audience}}, time.Now())
	if !status.Authenticated {
		Refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized)
		return "", "", false
	}
	parts := strings.Split(status.User.Username, ":") // system:serviceaccount:NAMESPACE:NAME
	return parts[2], parts[3], true
}

// secret answers the program under test, and pods by their own tokens, with the metadata alone if they
// want no more.
func (s *Server) secret(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "Bearer "+credentials {
		s.getObject(w, r, "secrets")
		return
	}
	namespace, account, known := s.account(w, r)
	if !known {
		return
	}
	s.mu.Lock()
	found, allowed := s.secrets[r.PathValue("namespace")+"/"+account+"/"+r.PathValue("name")]
	s.mu.Unlock()
	switch {
	case !allowed || namespace != r.PathValue("namespace"):
		Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
	case wantsMetadata(r):
		respond(w, http.StatusOK, metadataOf(found))
	default:
		found.Kind, found.APIVersion = "Secret", "v1"
		respond(w, http.StatusOK, found)
	}
}

// secretList answers service accounts that may list, with what the selector selects.
func (s *Server) secretList(w http.ResponseWriter, r *http.Request) {
	namespace, account, known := s.account(w, r)
	if !known {
		return
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		Refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}
	whole, partial := corev1.SecretList{Items: []corev1.Secret{}}, metav1.PartialObjectMetadataList{}
	whole.Kind, whole.APIVersion = "SecretList", "v1"
	partial.Kind, partial.APIVersion = "PartialObjectMetadataList", "meta.k8s.io/v1"
	whole.ResourceVersion, partial.ResourceVersion = "1", "1"
	s.mu.Lock()
	allowed := s.listers[namespace+"/"+account] && namespace == r.PathValue("namespace")
	for _, key := range slices.Sorted(maps.Keys(s.secrets)) {
		if found := s.secrets[key]; found.Namespace == namespace && selector.Matches(labels.Set(found.Labels)) {
			whole.Items, partial.Items = append(whole.Items, found), append(partial.Items, metadataOf(found))
		}
	}
	s.mu.Unlock()
	switch {
	case !allowed:
		Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
	case wantsMetadata(r):
		respond(w, http.StatusOK, partial)
	default:
		respond(w, http.StatusOK, whole)
	}
}

func wantsMetadata(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")
}

func metadataOf(found corev1.Secret) metav1.PartialObjectMetadata {
	return metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: "meta.k8s.io/v1"}, ObjectMeta: found.ObjectMeta,
	}
}
