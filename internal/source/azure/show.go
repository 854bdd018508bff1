package azure

import (
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Show implements secretmanager.Shower. Azure's SDKs read variables alone.
func (c *Cloud) Show(subject secretmanager.Subject) (identity layout.Identity, config string, err error) {
	client, err := annotated(subject, ClientAnnotation, "")
	if err != nil {
		return identity, "", err
	}
	tenant, err := annotated(subject, TenantAnnotation, c.config.Tenant)
	if err != nil {
		return identity, "", err
	}
	identity = layout.NewIdentity("azure", c.config.TokenAudience, false)
	identity.Variables = []layout.IdentityVariable{
		{Name: layout.AzureClient, Value: client}, {Name: layout.AzureTokenFile, File: identity.Token}, {Name: layout.AzureTenant, Value: tenant},
	}
	if c.config.AuthorityHost != "" {
		identity.Variables = append(identity.Variables, layout.IdentityVariable{Name: layout.AzureAuthority, Value: c.config.AuthorityHost})
	}
	return identity, "", nil
}
