// Package gcp reads Google Cloud's Secret Manager under a pod's identity: the pod's
// token is exchanged by workload identity federation and, where the service account's
// annotation names a Google service account, for that account's token.
package gcp

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials/externalaccount"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// ServiceAccountAnnotation names the Google service account that pods act as. Without
// it a pod acts as the federated identity itself.
const ServiceAccountAnnotation = "iam.gke.io/gcp-service-account"

const (
	identityNamespace = "identitynamespace:"
	cloudScope        = "https://www.googleapis.com/auth/cloud-platform"
	maxMessage        = 1 << 20
	// A connection that a network has silently dropped is found by pings; TCP alone takes
	// a quarter of an hour.
	pingEvery   = 30 * time.Second
	pingTimeout = 5 * time.Second
)

// Config says where Google Cloud is and as whom pods are known there.
type Config struct {
	// Audience is the workload identity provider, as
	// "//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER",
	// or on GKE "identitynamespace:PROJECT.svc.id.goog:CLUSTER_URL". Required.
	Audience string
	// TokenAudience is that of the pod's token. By default it is what the workload
	// identity provider expects by default.
	TokenAudience string
	// Endpoint is Secret Manager's host and port, and RegionalEndpoint those of a region, whose
	// name stands where REGION is; STSURL is where tokens are exchanged, IAMURL the base of the
	// service that impersonates. Google's own where empty.
	Endpoint, RegionalEndpoint, STSURL, IAMURL string
	// Region is that of a Store's secrets, where they are regional ones.
	Region string
	// Roots verify Secret Manager, which is not asked over HTTP; those of the system where nil.
	Roots *x509.CertPool
	// HTTP is a client of secretmanager.NewHTTPClient, which several may share. Required.
	HTTP *http.Client
}

// Cloud implements secretmanager.Cloud.
type Cloud struct {
	config    Config
	endpoints *endpoints
	http      *http.Client
}

// New returns a Cloud; it asks nobody yet. Close it.
func New(config Config) (*Cloud, error) {
	if config.Audience == "" {
		return nil, fmt.Errorf("gcp: no audience; give the workload identity provider's resource name")
	}
	withDefaults(&config)
	made := &endpoints{config: config, opened: map[string]*endpoint{}}
	if _, err := made.at(""); err != nil {
		return nil, err
	}
	return &Cloud{config, made, secretmanager.Checking(config.HTTP, keepStatus)}, nil
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func withDefaults(config *Config) {
	config.Endpoint = cmp.Or(config.Endpoint, "secretmanager.googleapis.com:443")
	config.RegionalEndpoint = cmp.Or(config.RegionalEndpoint, "secretmanager.REGION.rep.googleapis.com:443")
	config.STSURL = cmp.Or(config.STSURL, "https://sts.googleapis.com/v1/token")
	config.IAMURL = cmp.Or(config.IAMURL, "https://iamcredentials.googleapis.com")
	config.TokenAudience = cmp.Or(config.TokenAudience, TokenAudience(config.Audience))
}

// TokenAudience is the audience that a workload identity provider expects by default:
// the pool on GKE, elsewhere its own name as a URL.
func TokenAudience(audience string) string {
	if pool, isGKE := strings.CutPrefix(audience, identityNamespace); isGKE {
		name, _, _ := strings.Cut(pool, ":")
		return name
	}
	return "https:" + audience
}

// Close ends the connections to Secret Manager, and those of exchanges that are idle.
func (c *Cloud) Close() error {
	c.http.CloseIdleConnections()
	return c.endpoints.close()
}

// Annotations implements secretmanager.Cloud.
func (*Cloud) Annotations() []string { return []string{ServiceAccountAnnotation} }

var serviceAccount = regexp.MustCompile(`^[A-Za-z0-9.-]+@[A-Za-z0-9.-]+$`)

// Open implements secretmanager.Cloud.
func (c *Cloud) Open(subject secretmanager.Subject) (secretmanager.Session, error) {
	made, err := c.open(subject)
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (c *Cloud) open(subject secretmanager.Subject) (*session, error) {
	token, err := subject.Token(c.config.TokenAudience)
	if err != nil {
		return nil, err
	}
	account, annotated, err := subject.Annotated(ServiceAccountAnnotation, serviceAccount.MatchString, "not an account's e-mail address")
	if err != nil {
		return nil, err
	}
	options := externalaccount.Options{
		Audience: c.config.Audience, SubjectTokenType: jwtType,
		TokenURL: c.config.STSURL, Scopes: []string{cloudScope}, SubjectTokenProvider: podToken{token},
		UniverseDomain: "googleapis.com", Client: c.http, Logger: silent(),
	}
	if annotated {
		options.ServiceAccountImpersonationURL = c.impersonating(account)
	}
	made, err := externalaccount.NewCredentials(&options)
	if err != nil {
		return nil, secretmanager.Unusable("the workload identity provider cannot be used; correct the driver's audience for Google Cloud")
	}
	return &session{c.endpoints, made, secretmanager.Presented{Audience: c.config.TokenAudience, Token: token}}, nil
}

// jwtType is what the exchange calls a pod's token.
const jwtType = "urn:ietf:params:oauth:token-type:jwt"

// impersonating is where a federated identity is given the account's token.
func (c *Cloud) impersonating(account string) string {
	return c.config.IAMURL + "/v1/projects/-/serviceAccounts/" + account + ":generateAccessToken"
}

// podToken hands the pod's token to the exchange.
type podToken struct{ token secret.Text }

func (p podToken) SubjectToken(context.Context, *externalaccount.RequestOptions) (string, error) {
	return p.token.Reveal(), nil
}

// session is one pod's; the credentials exchange the token once and renew by
// themselves.
type session struct {
	endpoints   *endpoints
	credentials *auth.Credentials
	presented   secretmanager.Presented
}
