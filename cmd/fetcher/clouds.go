package main

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/azure"
	"github.com/leoflow/secrets-csi/internal/source/gcp"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// cloudSettings are the flags about the clouds' secret managers.
type cloudSettings struct {
	names string
	ca    string
	gcp   gcp.Config
	aws   aws.Config
	azure azure.Config
	// http is the client of all of them; nil until one is opened.
	http *http.Client
}

func (c *cloudSettings) bind(flags *flag.FlagSet) {
	flags.StringVar(&c.names, "clouds", "", "comma-separated `names` of the clouds whose references are resolved, and at which pods of connections without credentials show their own identity: gcp, aws, azure")
	flags.StringVar(&c.ca, "cloud-ca", "", "`file` of the CA certificates that the clouds' must chain to, for emulators; empty for the system's")

	flags.StringVar(&c.gcp.Audience, "gcp-audience", "", "the `name` of the workload identity provider; on GKE identitynamespace:PROJECT.svc.id.goog:CLUSTER_URL")
	flags.StringVar(&c.gcp.TokenAudience, "gcp-token-audience", "", "the `audience` of the pods' tokens for it; empty for what it expects by default")
	flags.StringVar(&c.gcp.Endpoint, "gcp-endpoint", "", "`host:port` of Secret Manager, for emulators")
	flags.StringVar(&c.gcp.RegionalEndpoint, "gcp-regional-endpoint", "", "`host:port` of Secret Manager in a region, REGION being its name, for emulators")
	flags.StringVar(&c.gcp.STSURL, "gcp-sts-url", "", "`URL` where tokens are exchanged, for emulators")
	flags.StringVar(&c.gcp.IAMURL, "gcp-iam-url", "", "base `URL` of the service that impersonates, for emulators")

	flags.StringVar(&c.aws.Region, "aws-region", "", "the `region` of secrets whose reference and connection name none")
	flags.StringVar(&c.aws.TokenAudience, "aws-token-audience", "", "the `audience` of the pods' tokens for AWS; empty for sts.amazonaws.com")
	flags.StringVar(&c.aws.Endpoint, "aws-endpoint", "", "`URL` of Secrets Manager, for emulators")
	flags.StringVar(&c.aws.STSEndpoint, "aws-sts-endpoint", "", "`URL` of the Security Token Service, for emulators")
	flags.BoolVar(&c.aws.PodIdentity, "aws-pod-identity", false, "have pods whose service account names no role read under that of EKS Pod Identity, by the agent on the node")
	flags.StringVar(&c.aws.Agent, "aws-pod-identity-agent", "", "`URL` of that agent; empty for http://169.254.170.23")

	flags.StringVar(&c.azure.Tenant, "azure-tenant", "", "the tenant's `id` for service accounts whose annotations name none")
	flags.StringVar(&c.azure.TokenAudience, "azure-token-audience", "", "the `audience` of the pods' tokens for Azure; empty for api://AzureADTokenExchange")
	flags.StringVar(&c.azure.AuthorityHost, "azure-authority-host", "", "`URL` where tokens are exchanged; empty for that of the public cloud")
	flags.StringVar(&c.azure.VaultEndpoint, "azure-vault-endpoint", "", "`URL` that stands for every vault, for emulators")
}

// enabled are the names of the clouds in use.
func (c *cloudSettings) enabled() []string {
	var names []string
	for name := range strings.SplitSeq(c.names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func (c *cloudSettings) check() error {
	names := c.enabled()
	for _, name := range names {
		if !slices.Contains([]string{"gcp", "aws", "azure"}, name) {
			return fmt.Errorf("--clouds: %q is none of gcp, aws and azure", name)
		}
	}
	if slices.Contains(names, "gcp") && c.gcp.Audience == "" {
		return errors.New("--clouds=gcp needs --gcp-audience, the workload identity provider that pods are known by")
	}
	if c.aws.Region != "" && !entry.IsAWSRegion(c.aws.Region) {
		return fmt.Errorf("--aws-region %q is not a region; write one such as eu-west-1", c.aws.Region)
	}
	return c.checkURLs()
}

// checkURLs refuses plain HTTP, by which pods' tokens would go in the clear.
func (c *cloudSettings) checkURLs() error {
	for _, one := range []struct{ flag, url string }{
		{"gcp-sts-url", c.gcp.STSURL}, {"gcp-iam-url", c.gcp.IAMURL},
		{"aws-endpoint", c.aws.Endpoint}, {"aws-sts-endpoint", c.aws.STSEndpoint},
		{"azure-authority-host", c.azure.AuthorityHost}, {"azure-vault-endpoint", c.azure.VaultEndpoint},
	} {
		parsed, err := url.Parse(one.url)
		if one.url != "" && (err != nil || parsed.Scheme != "https" || parsed.Host == "") {
			return fmt.Errorf("--%s %q is not an https URL, and pods' tokens go there", one.flag, one.url)
		}
	}
	return nil
}

// resolver makes what resolves references; nil if no cloud is in use. What it holds
// open is added to the sources.
func (s *settings) resolver(sources *sources) (provider.Resolver, error) {
	names := s.clouds.enabled()
	if len(names) == 0 {
		return nil, nil
	}
	roots, err := rootsOf("cloud-ca", s.clouds.ca)
	if err != nil {
		return nil, err
	}
	annotations, err := s.annotations(sources)
	if err != nil {
		return nil, fmt.Errorf("reading service accounts, which --clouds needs: %w", err)
	}
	clouds := map[string]secretmanager.Cloud{}
	for _, name := range names {
		cloud, err := s.clouds.open(name, roots)
		if err != nil {
			return nil, err
		}
		clouds[name] = cloud
		sources.ends = append(sources.ends, cloud.Close)
	}
	return secretmanager.New(secretmanager.Config{Clouds: clouds, Annotations: annotations}), nil
}

// share has all clouds and their stores use the same connections and roots, which are those of --cloud-ca.
func (c *cloudSettings) share(roots *x509.CertPool) {
	if c.http == nil {
		c.http = secretmanager.NewHTTPClient(roots, 0)
	}
	c.aws.HTTP, c.azure.HTTP, c.gcp.HTTP = c.http, c.http, c.http
	c.gcp.Roots = roots
}

func (c *cloudSettings) open(name string, roots *x509.CertPool) (secretmanager.Cloud, error) {
	c.share(roots)
	switch name {
	case "aws":
		return aws.New(c.aws), nil
	case "azure":
		return azure.New(c.azure), nil
	default:
		return gcp.New(c.gcp)
	}
}
