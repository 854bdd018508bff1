package aws

import (
	"strings"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Show implements secretmanager.Shower. A pod whose service account names a role assumes that by its
// token; of any other the agent of EKS Pod Identity knows the role, and takes the token from the SDK.
func (c *Cloud) Show(subject secretmanager.Subject) (identity entry.Identity, config string, err error) {
	if _, annotated := subject.Annotations[RoleAnnotation]; c.config.PodIdentity && !annotated {
		identity = entry.NewIdentity("aws", PodIdentityAudience, false)
		identity.Variables = []entry.IdentityVariable{
			{Name: entry.AWSAgentTokenFile, File: identity.Token},
			{Name: entry.AWSAgent, Value: strings.TrimRight(c.config.Agent, "/") + "/v1/credentials"},
		}
		return identity, "", nil
	}
	role, err := roleOf(subject)
	if err != nil {
		return identity, "", err
	}
	identity = entry.NewIdentity("aws", c.config.TokenAudience, true)
	identity.Variables = []entry.IdentityVariable{
		{Name: entry.AWSRole, Value: role}, {Name: entry.AWSTokenFile, File: identity.Token},
	}
	identity.Annotations = []string{RoleAnnotation}
	return identity, "[default]\nrole_arn = " + role + "\nweb_identity_token_file = " + entry.VolumeDir + "/" + identity.Token + "\n", nil
}
