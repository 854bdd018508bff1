// Package azure reads Azure Key Vault under a pod's identity: the pod's token is the
// client assertion of the application, or managed identity, that the service
// account's annotations name.
package azure

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
)

// The annotations of a service account that workload identity on Azure documents.
const (
	ClientAnnotation = "azure.workload.identity/client-id"
	TenantAnnotation = "azure.workload.identity/tenant-id"
)

// Config says where Azure is.
type Config struct {
	// Tenant is that of service accounts whose annotations name none.
	Tenant string
	// TokenAudience is that of the pod's token; "api://AzureADTokenExchange" by default.
	TokenAudience string
	// AuthorityHost is where tokens are exchanged, a URL; that of the public cloud where
	// empty.
	AuthorityHost string
	// VaultEndpoint is a URL that stands for every vault; for tests and emulators.
	VaultEndpoint string
	// HTTP is a client of secretmanager.NewHTTPClient, which several may share. Required.
	HTTP *http.Client
}

// Cloud implements secretmanager.Cloud.
type Cloud struct{ config Config }

// silence turns off the SDK's log, once, because it is the whole process's. The environment turns it on,
// and it prints what servers answer, which may be a token.
var silence = sync.OnceFunc(func() { log.SetListener(nil) })

// New returns a Cloud; it asks nobody yet.
func New(config Config) *Cloud {
	if config.TokenAudience == "" {
		config.TokenAudience = "api://AzureADTokenExchange"
	}
	silence()
	return &Cloud{config}
}

// Close closes the connections that are idle.
func (c *Cloud) Close() error {
	c.config.HTTP.CloseIdleConnections()
	return nil
}

// Annotations implements secretmanager.Cloud.
func (*Cloud) Annotations() []string { return []string{ClientAnnotation, TenantAnnotation} }

var identifier = regexp.MustCompile(`^[0-9A-Za-z.-]+$`)

func isIdentifier(text string) bool { return len(text) <= 255 && identifier.MatchString(text) }

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
	client, err := annotated(subject, ClientAnnotation, "")
	if err != nil {
		return nil, err
	}
	tenant, err := annotated(subject, TenantAnnotation, c.config.Tenant)
	if err != nil {
		return nil, err
	}
	assert := func(context.Context) (string, error) { return token.Reveal(), nil }
	made, err := azidentity.NewClientAssertionCredential(tenant, client, assert, &azidentity.ClientAssertionCredentialOptions{
		ClientOptions: c.options(subject.Location),
		// The configured authority is trusted because the operator named it.
		DisableInstanceDiscovery: c.config.AuthorityHost != "",
	})
	if err != nil {
		return nil, secretmanager.Unusable("the driver's authority for Azure cannot be used; correct it")
	}
	api, err := c.vault(subject.Location, inTenant{made, tenant, secretmanager.Presented{Audience: c.config.TokenAudience, Token: token}})
	if err != nil {
		return nil, secretmanager.Unusable("the vault cannot be used; correct key_vault_url")
	}
	return &session{api}, nil
}

func (c *Cloud) vault(location string, credential azcore.TokenCredential) (*azsecrets.Client, error) {
	options := azsecrets.ClientOptions{ClientOptions: c.options(location)}
	if c.config.VaultEndpoint != "" {
		location, options.DisableChallengeResourceVerification = c.config.VaultEndpoint, true
	}
	return azsecrets.NewClient(location, credential, &options)
}

func annotated(subject secretmanager.Subject, annotation, otherwise string) (string, error) {
	value, set, err := subject.Annotated(annotation, isIdentifier, "not an id")
	switch {
	case err != nil || set:
		return value, err
	case otherwise == "":
		return "", secretmanager.Unnamed(subject.Account() + " lacks the annotation " + annotation + "; add it")
	}
	return otherwise, nil
}

// options leave retrying to whoever calls a session. A vault of a sovereign cloud takes tokens of that cloud.
func (c *Cloud) options(vault string) azcore.ClientOptions {
	options := azcore.ClientOptions{Transport: c.config.HTTP, Retry: policy.RetryOptions{MaxRetries: -1}}
	switch vault = strings.TrimRight(vault, "/"); {
	case c.config.AuthorityHost != "":
		options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: c.config.AuthorityHost}
	case strings.HasSuffix(vault, ".azure.cn"):
		options.Cloud = cloud.AzureChina
	case strings.HasSuffix(vault, ".usgovcloudapi.net"):
		options.Cloud = cloud.AzureGovernment
	}
	return options
}
