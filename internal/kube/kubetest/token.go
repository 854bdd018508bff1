package kubetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Audience is that of tokens for the server itself.
const Audience = issuer

const issuer = "https://kubernetes.default.svc.cluster.local"

// Token is what a service-account token says. Pod is empty where it is bound to none.
type Token struct {
	Namespace, ServiceAccount string
	Pod, PodUID, Node         string
	ID                        string
	Audiences                 []string
	Expires                   time.Time
}

type named struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
}

type bound struct {
	Namespace      string `json:"namespace"`
	ServiceAccount named  `json:"serviceaccount"`
	Pod            *named `json:"pod,omitempty"`
	Node           *named `json:"node,omitempty"`
}

type claims struct {
	jwt.RegisteredClaims
	Kubernetes bound `json:"kubernetes.io"`
}

// Sign makes the token, as kubelet would be given it.
func (s *Server) Sign(token Token) (secret.Text, error) {
	content := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: "system:serviceaccount:" + token.Namespace + ":" + token.ServiceAccount,
			Audience: token.Audiences, ExpiresAt: jwt.NewNumericDate(token.Expires), ID: token.ID,
		},
		Kubernetes: bound{Namespace: token.Namespace, ServiceAccount: named{Name: token.ServiceAccount}},
	}
	if token.Pod != "" {
		content.Kubernetes.Pod = &named{token.Pod, token.PodUID}
		content.Kubernetes.Node = &named{Name: token.Node}
	}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodES256, content)
	unsigned.Header["kid"] = s.KeyID()
	signed, err := unsigned.SignedString(s.signer())
	if err != nil {
		return secret.Text{}, fmt.Errorf("signing token: %w", err)
	}
	return secret.New(signed), nil
}

// status is the server's verdict.
func (s *Server) status(spec authenticationv1.TokenReviewSpec, now time.Time) authenticationv1.TokenReviewStatus {
	var content claims
	_, err := jwt.ParseWithClaims(spec.Token, &content, func(*jwt.Token) (any, error) { return &s.signer().PublicKey, nil },
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(issuer), jwt.WithTimeFunc(func() time.Time { return now }))
	audiences := slices.DeleteFunc(slices.Clone(spec.Audiences), func(audience string) bool {
		return !slices.Contains(content.Audience, audience)
	})
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return authenticationv1.TokenReviewStatus{Error: "[invalid bearer token, service account token has expired]"}
	case err != nil:
		return authenticationv1.TokenReviewStatus{Error: "invalid bearer token"}
	case len(audiences) == 0:
		return authenticationv1.TokenReviewStatus{Error: fmt.Sprintf(
			"[invalid bearer token, token audiences %q is invalid for the target audiences %q]", content.Audience, spec.Audiences)}
	}
	return authenticationv1.TokenReviewStatus{Authenticated: true, Audiences: audiences, User: content.user()}
}

func (c claims) user() authenticationv1.UserInfo {
	user := authenticationv1.UserInfo{
		Username: c.Subject,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + c.Kubernetes.Namespace, "system:authenticated"},
		Extra:    map[string]authenticationv1.ExtraValue{},
	}
	const prefix = "authentication.kubernetes.io/"
	if pod := c.Kubernetes.Pod; pod != nil {
		user.Extra[prefix+"pod-name"] = []string{pod.Name}
		user.Extra[prefix+"pod-uid"] = []string{pod.UID}
	}
	if node := c.Kubernetes.Node; node != nil {
		user.Extra[prefix+"node-name"] = []string{node.Name}
	}
	if c.ID != "" {
		user.Extra[prefix+"credential-id"] = []string{"JTI=" + c.ID}
	}
	return user
}
