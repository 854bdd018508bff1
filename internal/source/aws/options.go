package aws

import (
	"strings"

	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

const ownRole = "every pod reads under the role of its own service account, by the annotation " + RoleAnnotation + " or by EKS Pod Identity"

// commonOptions are those that both of AWS's classes have. What they say of region and endpoint comes before the
// config's.
func commonOptions(kwargs *store.Kwargs, config Config) Config {
	config.Region = kwargs.Text("region_name", config.Region)
	config.Endpoint = kwargs.Text("endpoint_url", config.Endpoint)
	if !entry.IsAWSRegion(config.Region) {
		kwargs.Mistake("region_name", "names no region, and neither does --aws-region; write one such as eu-west-1")
	}
	if config.Endpoint != "" && !strings.HasPrefix(config.Endpoint, "https://") {
		kwargs.Mistake("endpoint_url", "must be an https URL: secrets come from there")
	}
	kwargs.Ignore("config_prefix", "config_lookup_pattern", "full_url_mode", "are_secret_values_urlencoded", "api_version")
	kwargs.Refuse(ownRole, "profile_name", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "role_arn",
		"assume_role_method", "assume_role_kwargs", "external_id")
	kwargs.IgnoreTrue("verify", "use_ssl")
	kwargs.Refuse("the driver trusts the system's certificates, or those of --cloud-ca", "verify", "use_ssl")
	kwargs.Refuse("the driver has its own bounds and retries", "config_kwargs", "service_config")
	return config
}
