package call

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// IsAttested tells whether a token from kubelet is of the service account that the pod is
// said to have. Whoever gives a pod what was fetched for another of its service account asks
// that first, for no call then proves the token: where a CSIDriver lacks podInfoOnMount, it
// is the pod's author who writes what the pod is called, but never kubelet's tokens.
func (i Identity) IsAttested() bool {
	subject := "system:serviceaccount:" + i.Namespace + ":" + i.ServiceAccount
	if !i.TaskToken && subjectOf(i.Token) == subject {
		return true
	}
	for _, token := range i.CloudTokens {
		if subjectOf(token) == subject {
			return true
		}
	}
	return false
}

// subjectOf is the subject that a JSON web token names; empty for any other token.
func subjectOf(token secret.Text) string {
	_, rest, _ := strings.Cut(token.Reveal(), ".")
	payload, _, _ := strings.Cut(rest, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return ""
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if json.Unmarshal(decoded, &claims) != nil {
		return ""
	}
	return claims.Subject
}
