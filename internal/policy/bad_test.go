package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// needle stands in every value of the rows below; no message may hold it.
const needle = "n33dle"

// badRow fails one connection. Its extra is text, because it need not be an object.
type badRow struct {
	name     string
	connType string
	login    string
	password string
	extra    string
	// secret is what the secret manager holds.
	secret string
	field  string
	remedy string
}

var badRows = []badRow{
	{"extra is a list", "aws", "", "", `["n33dle"]`, "", "extra", "store an object"},
	{"extra is a number", "wasb", "", "", `7`, "", "extra", "store an object"},
	{"extra is not JSON", "google_cloud_platform", "", "", `{n33dle`, "", "extra", "store a JSON object"},
	{"extra goes on after its end", "google_cloud_platform", "", "", `{} n33dle`, "", "extra", "store a JSON object"},
	{"extra is encoded twice", "google_cloud_platform", "", "", `"{\"keyfile_dict\":\"n33dle\"}"`, "", "extra", "store the object itself"},

	{"keyfile is encoded twice", "google_cloud_platform", "", "", `{"keyfile_dict":"\"{\\\"private_key\\\":\\\"n33dle\\\"}\""}`, "", "extra.keyfile_dict", "store the object itself"},
	{"keyfile of a type of Google's is not JSON", "gcpbigquery", "", "", `{"keyfile_dict":"n33dle"}`, "", "extra.keyfile_dict", "store a JSON object"},
	{"keyfile is not JSON", "google_cloud_platform", "", "", `{"extra__google_cloud_platform__keyfile_dict":"n33dle"}`, "", "extra.extra__google_cloud_platform__keyfile_dict", "store a JSON object"},
	{"keyfile is a list", "google_cloud_platform", "", "", `{"keyfile_dict":["n33dle"]}`, "", "extra.keyfile_dict", "store an object"},
	{"keyfile is no key", "google_cloud_platform", "", "", `{"keyfile_dict":{"private_key_id":"n33dle"}}`, "", "extra.keyfile_dict", "store a service account's JSON key"},
	{"key_path is not .json", "google_cloud_platform", "", "", `{"key_path":"/n33dle.p12"}`, "", "extra.key_path", "give the JSON key's path"},
	{"key_path is .JSON", "google_cloud_platform", "", "", `{"key_path":"/n33dle.JSON"}`, "", "extra.key_path", "give the JSON key's path"},
	{"key_path is a number", "google_cloud_platform", "", "", `{"key_path":7}`, "", "extra.key_path", "write it as a JSON string"},
	{"issuer without a configuration", "google_cloud_platform", "", "", `{"idp_issuer_url":"https://n33dle"}`, "", "extra.credential_config_file", "set both or neither"},
	{"num_retries is a word", "google_cloud_platform", "", "", `{"extra__google_cloud_platform__num_retries":"n33dle"}`, "", "extra.extra__google_cloud_platform__num_retries", "whole number"},
	{"scopes is an object", "google_cloud_platform", "", "", `{"scopes":{"n33dle":1}}`, "", "extra.scopes", "with commas between them"},
	{"reference is a list", "google_cloud_platform", "", "", `{"key_secret_name":["n33dle"]}`, "", "extra.key_secret_name", "write it as a JSON string"},
	{"reference is blank", "google_cloud_platform", "", "", `{"key_secret_name":"  "}`, "", "extra.key_secret_name", "write it as a JSON string"},
	{"reference without a project", "google_cloud_platform", "", "", `{"key_secret_name":"n33dle"}`, "", "extra.key_secret_project_id", "name the project"},
	{"reference is half a resource name", "google_cloud_platform", "", "", `{"key_secret_name":"projects/n33dle","project":"p"}`, "", "extra.key_secret_name", "projects/PROJECT/secrets/NAME"},
	{"reference to a regional secret of no region", "google_cloud_platform", "", "", `{"key_secret_name":"projects/p/locations/n33dle.example/secrets/s"}`, "", "extra.key_secret_name", "names no region"},
	{"reference to a regional secret of no project", "google_cloud_platform", "", "", `{"key_secret_name":"projects/N33DLE n33dle/locations/europe-west3/secrets/s"}`, "", "extra.key_secret_name", "names no project"},
	{"reference to a region beside the project", "google_cloud_platform", "", "", `{"key_secret_name":"s","key_secret_project_id":"n33dle/locations/europe-west3"}`, "", "extra.key_secret_project_id", "names no project"},
	{"reference ends with a slash", "google_cloud_platform", "", "", `{"key_secret_name":"projects/p/secrets/n33dle/"}`, "", "extra.key_secret_name", "projects/PROJECT/secrets/NAME"},
	{"reference into no project", "google_cloud_platform", "", "", `{"key_secret_name":"s","key_secret_project_id":"N33DLE n33dle"}`, "", "extra.key_secret_project_id", "names no project"},
	{"reference into no project of the connection", "google_cloud_platform", "", "", `{"key_secret_name":"s","extra__google_cloud_platform__project":"n33dle/"}`, "", "extra.extra__google_cloud_platform__project", "names no project"},
	{"version is a sentence", "google_cloud_platform", "", "", `{"key_secret_name":"projects/p/secrets/s","key_secret_version":"n33dle n33dle"}`, "", "extra.key_secret_version", "number nor its alias"},
	{"version is another one", "google_cloud_platform", "", "", `{"key_secret_name":"projects/p/secrets/s/versions/3","key_secret_version":"n33dle"}`, "", "extra.key_secret_version", "remove it"},
	{"version without a reference", "google_cloud_platform", "", "", `{"key_secret_version":"n33dle"}`, "", "extra.key_secret_name", "name the secret"},
	{"fetched key is not JSON", "google_cloud_platform", "", "", `{"key_secret_name":"projects/p/secrets/s"}`, "n33dle", "extra.key_secret_name", "store a JSON object"},
	{"fetched key is empty", "google_cloud_platform", "", "", `{"key_secret_name":"projects/p/secrets/s"}`, "", "extra.key_secret_name", "store a JSON object"},
	{"fetched key is binary", "google_cloud_platform", "", "", `{"key_secret_name":"projects/p/secrets/s"}`, "\x00n33dle\xff", "extra.key_secret_name", "store a JSON object"},
	{"fetched key is of another kind", "google_cloud_platform", "", "", `{"key_secret_name":"projects/p/secrets/s"}`, `{"type":"external_account","n33dle":1}`, "extra.key_secret_name", "store a service account's JSON key"},
	{"fetched key names no account", "google_cloud_platform", "", "", `{"key_secret_name":"projects/p/secrets/s"}`, `{"private_key":"n33dle","token_uri":"U"}`, "extra.key_secret_name", "has no client_email"},
	{"fetched key is a list", "google_cloud_platform", "", "", `{"key_secret_name":"projects/p/secrets/s"}`, `["n33dle"]`, "extra.key_secret_name", "store an object"},

	{"half a login", "aws", "n33dle", "", ``, "", "password", "neither to go keyless"},
	{"half a password", "aws", "", "n33dle", ``, "", "login", "neither to go keyless"},
	{"half a pair in the extra", "aws", "", "", `{"aws_secret_access_key":"n33dle"}`, "", "extra.aws_access_key_id", "neither to go keyless"},
	{"half a pair in session_kwargs", "aws", "", "", `{"session_kwargs":{"aws_access_key_id":"n33dle"}}`, "", "extra.session_kwargs.aws_secret_access_key", "neither to go keyless"},
	{"session token without its keys", "aws", "", "", `{"aws_session_token":"n33dle"}`, "", "extra.aws_session_token", "remove it to go keyless"},
	{"session token in session_kwargs without its keys", "aws", "", "", `{"role_arn":"r","session_kwargs":{"aws_session_token":"n33dle"}}`, "", "extra.session_kwargs.aws_session_token", "remove it to go keyless"},
	{"session_kwargs is text", "aws", "", "", `{"session_kwargs":"{\"x\":\"n33dle\"}"}`, "", "extra.session_kwargs", "write an object"},
	{"unknown way to assume a role", "aws", "I", "S", `{"role_arn":"r","assume_role_method":"n33dle"}`, "", "extra.assume_role_method", "assume_role_with_saml"},
	{"ARN of something else", "aws", "", "", `{"key_secret_name":"arn:aws:s3:::n33dle"}`, "", "extra.key_secret_name", "secretsmanager"},
	{"ARN in another region", "aws", "", "", `{"key_secret_name":"arn:aws:secretsmanager:r:1:secret:n33dle","key_secret_region":"q"}`, "", "extra.key_secret_region", "remove it"},
	{"reference is a sentence", "aws", "", "", `{"key_secret_name":"n33dle n33dle"}`, "", "extra.key_secret_name", "name nor the ARN"},
	{"region is a path", "aws", "", "", `{"key_secret_name":"s","key_secret_region":"../n33dle"}`, "", "extra.key_secret_region", "such as eu-west-1"},
	{"region of the connection is none", "aws", "", "", `{"key_secret_name":"s","region_name":"N33DLE n33dle"}`, "", "extra.region_name", "such as eu-west-1"},
	{"role is a name", "aws", "", "", `{"key_secret_name":"s","key_secret_role_arn":"n33dle"}`, "", "extra.key_secret_role_arn", "arn:aws:iam"},
	{"version is a sentence", "aws", "", "", `{"key_secret_name":"s","key_secret_version":"n33dle n33dle"}`, "", "extra.key_secret_version", "nor a stage"},
	{"region of a reference without its name", "aws", "", "", `{"key_secret_region":"n33dle"}`, "", "extra.key_secret_name", "name the secret"},
	{"fetched pair is not JSON", "aws", "", "", `{"key_secret_name":"s"}`, "n33dle", "extra.key_secret_name", "store a JSON object"},
	{"fetched pair is half", "aws", "", "", `{"key_secret_name":"s"}`, `{"aws_secret_access_key":"n33dle"}`, "extra.key_secret_name", "store an object with aws_access_key_id"},
	{"fetched pair has the wrong kind", "aws", "", "", `{"key_secret_name":"s"}`, `{"aws_access_key_id":7,"aws_secret_access_key":"n33dle"}`, "extra.key_secret_name", "store an object with aws_access_key_id"},

	{"client secret without a tenant", "azure", "C", needle, ``, "", "extra.tenantId", "set the tenant"},
	{"client secret without a client", "azure", "", needle, `{"tenantId":"T"}`, "", "login", "set the client id"},
	{"client secret without a tenant", "azure_data_lake", "C", needle, ``, "", "extra.tenant", "set the tenant"},
	{"tenant without a client secret", "wasb", "", "", `{"tenant_id":"n33dle"}`, "", "password", "go keyless"},
	{"tenant without a client secret", "azure_data_lake", "", "", `{"tenant":"n33dle"}`, "", "password", "go keyless"},
	{"tenant is a number", "adls", "C", needle, `{"tenant_id":7}`, "", "extra.tenant_id", "write it as a JSON string"},
	{"half a workload identity", "azure", "", "", `{"managed_identity_client_id":"n33dle"}`, "", "extra.workload_identity_tenant_id", "set both or neither"},
	{"the other half", "wasb", "", "", `{"workload_identity_tenant_id":"n33dle"}`, "", "extra.managed_identity_client_id", "set both or neither"},
	{"key_path is not .json", "azure", "", "", `{"key_path":"/n33dle.pem"}`, "", "extra.key_path", "give the JSON key's path"},
	{"key_json is text", "azure", "", "", `{"key_json":"{\"n33dle\":1}"}`, "", "extra.key_json", "not its text"},
	{"sas_token is a number", "wasb", "", "", `{"sas_token":7}`, "", "extra.sas_token", "write it as a JSON string"},
	{"reference without a vault", "wasb", "a", "", `{"key_secret_name":"n33dle"}`, "", "extra.key_vault_url", "give the vault's URL"},
	{"vault without a reference", "wasb", "a", "", `{"key_vault_url":"n33dle"}`, "", "extra.key_secret_name", "name the secret"},
	{"reference is a URL", "wasb", "a", "", `{"key_secret_name":"https://v.vault.azure.net/secrets/n33dle","key_vault_url":"https://v.vault.azure.net"}`, "", "extra.key_secret_name", "give the name alone"},
	{"vault is elsewhere", "wasb", "a", "", `{"key_secret_name":"s","key_vault_url":"https://n33dle.example"}`, "", "extra.key_vault_url", "https://NAME.vault.azure.net"},
	{"version is a path", "wasb", "a", "", `{"key_secret_name":"s","key_vault_url":"https://v.vault.azure.net/","key_secret_version":"../n33dle"}`, "", "extra.key_secret_version", "is no version"},
	{"reference without a client", "azure", "", "", `{"key_secret_name":"n33dle","key_vault_url":"https://v.vault.azure.net","tenantId":"T"}`, "", "login", "set the client id"},
	{"fetched secret is empty", "wasb", "a", "", `{"key_secret_name":"s","key_vault_url":"https://v.vault.azure.net"}`, "", "extra.key_secret_name", "store the client secret"},
	{"fetched secret is binary", "wasb", "a", "", `{"key_secret_name":"s","key_vault_url":"https://v.vault.azure.net"}`, "\xff" + needle, "extra.key_secret_name", "as text"},
	{"reference in another type", "azure_data_factory", "C", "", `{"tenantId":"T","key_secret_name":"n33dle","key_vault_url":"u"}`, "", "extra.key_secret_name", "use one of those"},
	{"reference in another type", "s3", "", "", `{"key_secret_name":"n33dle","key_secret_region":"r"}`, "", "extra.key_secret_name", "use one of those"},
	{"reference in another type", "gcpssh", "", "", `{"key_secret_name":"n33dle","key_secret_project_id":"p"}`, "", "extra.key_secret_name", "use one of those"},
	{"fetched secret has a NUL", "wasb", "a", "", `{"key_secret_name":"s","key_vault_url":"https://v.vault.azure.net"}`, "\x00" + needle, "extra.key_secret_name", "as text"},
}

func TestBadConnectionsFailAlone(t *testing.T) {
	for _, row := range badRows {
		t.Run(row.connType+"/"+row.name, func(t *testing.T) {
			outcome, err := process(row.connection(), row.secret)

			require.Error(t, err)
			assert.Contains(t, err.Error(), fmt.Sprintf("field %q:", row.field))
			assert.Contains(t, err.Error(), row.remedy)
			assert.NotContains(t, err.Error()+fmt.Sprintf("%+v %#v", err, outcome), needle)
			assert.Equal(t, entry.Invalid, outcome.State)
			assert.Equal(t, airflow.Connection{}, outcome.Connection)
			assert.Nil(t, outcome.Grade)
			grade := Probe(row.connection())
			assert.NotContains(t, grade.Reason, needle)
			if !strings.HasPrefix(row.name, "fetched") {
				assert.Equal(t, Broken, grade.State)
			}
		})
	}
}

func (r badRow) connection() airflow.Connection {
	conn := airflow.Connection{ID: "c", Type: r.connType}
	if r.login != "" {
		conn.Login = &r.login
	}
	if r.password != "" {
		conn.Password = new(secret.New(r.password))
	}
	if r.extra != "" {
		conn.Extra = new(secret.New(r.extra))
	}
	return conn
}

func TestNoticesHoldNoValue(t *testing.T) {
	for _, extra := range []string{
		`{"keyfile_dict":{"private_key":"n33dle"},"key_path":"/n33dle.json","is_anonymous":"n33dle"}`,
		`{"aws_access_key_id":"n33dle","aws_secret_access_key":"n33dle","session_kwargs":{"aws_access_key_id":"n33dle"}}`,
		`{"client_secret":"n33dle","client_id":"n33dle","tenant":"n33dle","connection_string":"n33dle","sas_token":"n33dle"}`,
	} {
		for _, connType := range []string{"google_cloud_platform", "aws", "azure", "wasb", "adls"} {
			conn := badRow{connType: connType, login: needle, password: needle, extra: extra}.connection()
			outcome, err := process(conn, "")
			assert.NotContains(t, fmt.Sprintf("%v %v", outcome, err), needle)
		}
	}
}
