// Package aws reads AWS Secrets Manager under a pod's identity: the pod's token is
// exchanged by AssumeRoleWithWebIdentity for the role that the connection or the
// service account's annotation names.
package aws

import (
	"crypto/x509"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// RoleAnnotation names the role that pods assume where the connection names none.
const RoleAnnotation = "eks.amazonaws.com/role-arn"

// Config says where AWS is.
type Config struct {
	// Region is that of secrets whose reference and connection name none.
	Region string
	// TokenAudience is that of the pod's token; "sts.amazonaws.com" by default.
	TokenAudience string
	// Endpoint and STSEndpoint are URLs; those of the region where empty.
	Endpoint, STSEndpoint string
	// Roots verify both; those of the system where nil.
	Roots *x509.CertPool
	// RequestTimeout bounds one request over HTTP; five seconds by default.
	RequestTimeout time.Duration
}

// Cloud implements secretmanager.Cloud.
type Cloud struct {
	config Config
	http   *http.Client
}

// New returns a Cloud; it asks nobody yet.
func New(config Config) *Cloud {
	if config.TokenAudience == "" {
		config.TokenAudience = "sts.amazonaws.com"
	}
	return &Cloud{config, secretmanager.NewHTTPClient(config.Roots, config.RequestTimeout, nil)}
}

// Close closes the connections that are idle.
func (c *Cloud) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Annotations implements secretmanager.Cloud.
func (*Cloud) Annotations() []string { return []string{RoleAnnotation} }

func (c *Cloud) region(location string) string {
	if location == "" {
		return c.config.Region
	}
	return location
}

// Open implements secretmanager.Cloud.
func (c *Cloud) Open(subject secretmanager.Subject) (secretmanager.Session, error) {
	token, err := subject.Token(c.config.TokenAudience)
	if err != nil {
		return nil, err
	}
	roleARN, err := roleOf(subject)
	if err != nil {
		return nil, err
	}
	at := c.region(subject.Location)
	if !entry.IsAWSRegion(at) {
		return nil, secretmanager.Unusable("the reference names no region and this node has none; set key_secret_region")
	}
	exchange := sts.New(sts.Options{
		Region: at, BaseEndpoint: endpoint(c.config.STSEndpoint), HTTPClient: c.http, Retryer: aws.NopRetryer{},
	})
	web := stscreds.NewWebIdentityRoleProvider(exchange, roleARN, podToken{token}, func(options *stscreds.WebIdentityRoleOptions) {
		options.RoleSessionName = sessionName(subject.Pod)
	})
	api := secretsmanager.New(secretsmanager.Options{
		Region: at, BaseEndpoint: endpoint(c.config.Endpoint), HTTPClient: c.http, Retryer: aws.NopRetryer{},
		Credentials: aws.NewCredentialsCache(exchanging{web}),
	})
	return &session{api}, nil
}

func roleOf(subject secretmanager.Subject) (string, error) {
	if subject.Role != "" {
		return subject.Role, nil
	}
	annotated, set := subject.Annotations[RoleAnnotation]
	account := "service account " + subject.Pod.Namespace + "/" + subject.Pod.ServiceAccount
	switch {
	case !set:
		return "", secretmanager.Unusable("no role to assume: annotate " + account + " with " + RoleAnnotation + ", or set key_secret_role_arn")
	case !entry.IsAWSRole(annotated):
		return "", secretmanager.Unusable("annotation " + RoleAnnotation + " of " + account + " is not the ARN of a role; correct it")
	}
	return annotated, nil
}

func endpoint(url string) *string {
	if url == "" {
		return nil
	}
	return &url
}

// podToken hands the pod's token to the exchange.
type podToken struct{ token secret.Text }

func (p podToken) GetIdentityToken() ([]byte, error) { return []byte(p.token.Reveal()), nil }

// sessionName shows in CloudTrail whose pods read a secret; AWS allows 64 characters
// and not all of them.
func sessionName(pod provider.Identity) string {
	name := strings.Map(func(char rune) rune {
		if char == '-' || char == '.' || '0' <= char && char <= '9' || 'a' <= char && char <= 'z' || 'A' <= char && char <= 'Z' {
			return char
		}
		return '-'
	}, "leoflow-"+pod.Namespace+"."+pod.ServiceAccount)
	return name[:min(len(name), 64)]
}
