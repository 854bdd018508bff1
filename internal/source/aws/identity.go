package aws

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// PodIdentityAudience is that of pods' tokens for EKS Pod Identity; EKS takes no other.
const PodIdentityAudience = "pods.eks.amazonaws.com"

// identities are pods' own at AWS.
type identities struct {
	config Config
	// agent speaks to the agent of EKS Pod Identity.
	agent *http.Client
	// exchange is one client for all: each takes as much memory as a pod's tokens.
	exchange *sts.Client
}

func newIdentities(config Config) identities {
	config.TokenAudience = cmp.Or(config.TokenAudience, "sts.amazonaws.com")
	config.Agent = cmp.Or(config.Agent, "http://169.254.170.23")
	return identities{
		config, secretmanager.NewNodeClient(config.HTTP, ofAgent),
		sts.New(sts.Options{BaseEndpoint: endpoint(config.STSEndpoint), HTTPClient: config.HTTP, Retryer: aws.NopRetryer{}}),
	}
}

// ofAgent keeps the status of the agent's answer, which the SDK would melt into a text along with what it
// says. 404 is for a service account without an association.
func ofAgent(response *http.Response) error {
	if response.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	return secretmanager.ExchangeFailed(askingAgent, response.StatusCode, response.Header)
}

// Close closes the connections that are idle.
func (i *identities) Close() error {
	i.config.HTTP.CloseIdleConnections()
	i.agent.CloseIdleConnections()
	return nil
}

// Annotations implements secretmanager.Opener.
func (*identities) Annotations() []string { return []string{RoleAnnotation} }

func (i *identities) region(location string) string { return cmp.Or(location, i.config.Region) }

// known are a pod's credentials, which are exchanged once and renewed, and its region.
func (i *identities) known(subject secretmanager.Subject) (credentials aws.CredentialsProvider, at string, err error) {
	at = i.region(subject.Location)
	if credentials, err = i.credentials(subject, at); err != nil {
		return nil, "", err
	}
	if !entry.IsAWSRegion(at) {
		return nil, "", secretmanager.Unusable("the reference names no region and this node has none; set key_secret_region")
	}
	return aws.NewCredentialsCache(credentials), at, nil
}

// credentials are of the role that the reference or the service account names; without one EKS may
// know which it is.
func (i *identities) credentials(subject secretmanager.Subject, region string) (aws.CredentialsProvider, error) {
	_, annotated := subject.Annotations[RoleAnnotation]
	if i.config.PodIdentity && subject.Role == "" && !annotated {
		token, err := subject.Token(PodIdentityAudience)
		if err != nil {
			return nil, err
		}
		shown := secretmanager.Presented{Audience: PodIdentityAudience, Token: token}
		return exchanging{shown, endpointcreds.New(strings.TrimRight(i.config.Agent, "/")+"/v1/credentials", func(options *endpointcreds.Options) {
			options.HTTPClient, options.Retryer = i.agent, aws.NopRetryer{}
			options.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) { return token.Reveal(), nil })
		})}, nil
	}
	token, err := subject.Token(i.config.TokenAudience)
	if err != nil {
		return nil, err
	}
	roleARN, err := roleOf(subject)
	if err != nil {
		return nil, err
	}
	shown := secretmanager.Presented{Audience: i.config.TokenAudience, Token: token}
	return exchanging{shown, stscreds.NewWebIdentityRoleProvider(inRegion{i.exchange, region}, roleARN, podToken{token}, func(options *stscreds.WebIdentityRoleOptions) {
		options.RoleSessionName = sessionName(subject.Pod)
	})}, nil
}

// inRegion exchanges tokens at one region's service.
type inRegion struct {
	exchange *sts.Client
	region   string
}

// AssumeRoleWithWebIdentity implements stscreds.AssumeRoleWithWebIdentityAPIClient.
func (r inRegion) AssumeRoleWithWebIdentity(ctx context.Context, asked *sts.AssumeRoleWithWebIdentityInput, options ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	return r.exchange.AssumeRoleWithWebIdentity(ctx, asked, append(options, func(o *sts.Options) { o.Region = r.region })...)
}

func roleOf(subject secretmanager.Subject) (string, error) {
	if subject.Role != "" {
		return subject.Role, nil
	}
	annotated, set, err := subject.Annotated(RoleAnnotation, entry.IsAWSRole, "not the ARN of a role")
	if err == nil && !set {
		err = secretmanager.Unnamed("no role to assume: annotate " + subject.Account() + " with " + RoleAnnotation + ", or set key_secret_role_arn")
	}
	return annotated, err
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
