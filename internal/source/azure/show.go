package azure

import (
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Show implements secretmanager.Shower. Azure's SDKs read variables alone.
func (c *Cloud) Show(subject secretmanager.Subject) (identity entry.Identity, config string, err error) {
	client, err := annotated(subject, ClientAnnotation, "")
	if err != nil {
		return identity, "", err
	}
	tenant, err := annotated(subject, TenantAnnotation, c.config.Tenant)
	if err != nil {
		return identity, "", err
	}
	identity = entry.NewIdentity("azure", c.config.TokenAudience, false)
	identity.Variables = []entry.IdentityVariable{
		{Name: entry.AzureClient, Value: client}, {Name: entry.AzureTokenFile, File: identity.Token}, {Name: entry.AzureTenant, Value: tenant},
	}
	identity.Annotations = []string{ClientAnnotation}
	if _, annotated := subject.Annotations[TenantAnnotation]; annotated {
		identity.Annotations = append(identity.Annotations, TenantAnnotation)
	}
	if c.config.AuthorityHost != "" {
		identity.Variables = append(identity.Variables, entry.IdentityVariable{Name: entry.AzureAuthority, Value: c.config.AuthorityHost})
	}
	return identity, "", nil
}
