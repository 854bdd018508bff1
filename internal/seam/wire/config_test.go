package wire

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// A fetcher that somebody got hold of brings no program into a pod by way of an SDK's configuration.
func TestAConfigurationHasWhatItsCloudNeedsAndNoProgram(t *testing.T) {
	const profile = "[default]\nrole_arn = arn:aws:iam::1:role/a\nweb_identity_token_file = /var/run/leoflow/secrets/identity/aws.token\n"
	const account = `{
  "type": "external_account",
  "audience": "//iam",
  "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
  "token_url": "https://sts.googleapis.com/v1/token",
  "credential_source": {
    "file": "/var/run/leoflow/secrets/identity/gcp.token"
  }
}
`
	const impersonating = `"service_account_impersonation_url": "https://iamcredentials.googleapis.com/x",` + "\n  "
	for name, row := range map[string]struct {
		cloud, text string
		isTaken     bool
	}{
		"a profile":              {"aws", profile, true},
		"a program":              {"aws", profile + "credential_process = /bin/sh -c id\n", false},
		"a program, tight":       {"aws", profile + "credential_process=/bin/sh\n", false},
		"another profile":        {"aws", profile + "[profile x]\ncredential_process = id\n", false},
		"a line that goes on":    {"aws", profile + " credential_process = id\n", false},
		"a carriage return":      {"aws", "[default]\nrole_arn = a\rcredential_process = id\n", false},
		"another's key":          {"aws", profile + "aws_access_key_id = a\n", false},
		"another token":          {"aws", "[default]\nweb_identity_token_file = /proc/self/environ\n", false},
		"an empty line":          {"aws", profile + "\ncredential_process = id\n", false},
		"an account":             {"gcp", account, true},
		"one that impersonates":  {"gcp", strings.Replace(account, `"credential_source"`, impersonating+`"credential_source"`, 1), true},
		"an executable":          {"gcp", strings.Replace(account, `"file": `, `"executable": {"command": "id"}, "file": `, 1), false},
		"a source twice":         {"gcp", strings.Replace(account, `"credential_source"`, `"credential_source": {"executable": {}}, "credential_source"`, 1), false},
		"a key in other letters": {"gcp", strings.Replace(account, `"type"`, `"Type"`, 1), false},
		"another type":           {"gcp", strings.Replace(account, "external_account", "service_account", 1), false},
		"another file":           {"gcp", strings.Replace(account, "identity/gcp.token", "connections/warehouse", 1), false},
		"more after it":          {"gcp", account + "{}\n", false},
		"no JSON":                {"gcp", "x", false},
		"of a cloud without any": {"azure", profile, false},
	} {
		one := seam.Identity{Identity: layout.NewIdentity(row.cloud, "audience", true), Text: row.text}
		one.Config = "identity/" + map[string]string{"aws": "aws.config", "gcp": "gcp.json", "azure": "azure.json"}[row.cloud]
		require.Equal(t, row.isTaken, isConfig(one), name)
		err := checkIdentities(&seam.Answer{Identities: []seam.Identity{one}})
		assert.Equal(t, row.isTaken, err == nil, name)
	}
	none := seam.Identity{Identity: layout.NewIdentity("aws", "audience", false)}
	assert.True(t, isConfig(none))
	none.Text = profile
	assert.False(t, isConfig(none))
}
