package policy

import "github.com/leoflow/secrets-csi/pkg/entry"

// row is one line of the table in docs/connections-table.md: what is stored, and what
// the hook is given. Connections are in Airflow's JSON form without their conn_type.
type row struct {
	name   string
	stored string
	// secret is what the secret manager holds where the row has a reference.
	secret    string
	reference entry.Reference
	given     string
	// uses is the credential that the hook then uses; see uses.
	uses    string
	grade   string
	notices []string
}

const (
	key       = `{"private_key":"K","client_email":"E","token_uri":"U"}`
	keyText   = `"{\"private_key\":\"K\",\"client_email\":\"E\",\"token_uri\":\"U\"}"`
	gcpDict   = `"extra__google_cloud_platform__keyfile_dict"`
	gcpLegacy = `"extra__google_cloud_platform__`
)

var gcpRows = []row{
	{"nothing: keyless", `{}`, "", entry.Reference{}, `{}`, "ADC", Runtime, nil},
	{"a project: keyless", `{"extra":{"project":"p"}}`, "", entry.Reference{},
		`{"extra":{"project":"p",` + gcpLegacy + `project":"p"}}`, "ADC", Runtime, nil},
	{"a stored key", `{"extra":{"keyfile_dict":` + key + `}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":` + key + `,` + gcpDict + `:` + key + `}}`, "keyfile_dict", Valid, []string{KeyStoredInCore}},
	{"a stored key, as text", `{"extra":{"keyfile_dict":` + keyText + `}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":` + keyText + `,` + gcpDict + `:` + keyText + `}}`, "keyfile_dict", Valid, []string{KeyStoredInCore}},
	{"a stored key under its legacy name", `{"extra":{` + gcpDict + `:` + keyText + `}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":` + keyText + `,` + gcpDict + `:` + keyText + `}}`, "keyfile_dict", Valid, []string{KeyStoredInCore}},
	{"a legacy name beside a short one: the short one", `{"extra":{"keyfile_dict":` + key + `,` + gcpDict + `:"old"}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":` + key + `,` + gcpDict + `:` + key + `}}`, "keyfile_dict", Valid, []string{KeyStoredInCore}},
	{"a legacy name beside an empty short one: the legacy one", `{"extra":{"keyfile_dict":"",` + gcpDict + `:` + keyText + `}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":` + keyText + `,` + gcpDict + `:` + keyText + `}}`, "keyfile_dict", Valid, []string{KeyStoredInCore}},
	{"a stored key that Google's library would refuse", `{"extra":{"keyfile_dict":{"private_key":"K"}}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":{"private_key":"K"},` + gcpDict + `:{"private_key":"K"}}}`, "raises: no client_email", Broken, []string{KeyStoredInCore}},
	{"a key file", `{"extra":{"key_path":"/k.json"}}`, "", entry.Reference{},
		`{"extra":{"key_path":"/k.json",` + gcpLegacy + `key_path":"/k.json"}}`, "key_path", Runtime, nil},
	{"a stored key and a key file: the stored key", `{"extra":{"key_path":"/k.json","keyfile_dict":` + key + `}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":` + key + `,` + gcpDict + `:` + key + `}}`, "keyfile_dict", Valid, []string{CredentialIgnored, KeyStoredInCore}},
	{"a stored key and a reference: the stored key", `{"extra":{"keyfile_dict":` + key + `,"key_secret_name":"s","key_secret_project_id":"p"}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":` + key + `,` + gcpDict + `:` + key + `}}`, "keyfile_dict", Valid, []string{CredentialIgnored, KeyStoredInCore}},
	{"a key file and a legacy reference: the key file", `{"extra":{"key_path":"/k.json",` + gcpLegacy + `key_secret_name":"s"}}`, "", entry.Reference{},
		`{"extra":{"key_path":"/k.json",` + gcpLegacy + `key_path":"/k.json"}}`, "key_path", Runtime, []string{CredentialIgnored}},
	{"a reference", `{"extra":{"key_secret_name":"s","key_secret_project_id":"p"}}`, key,
		entry.Reference{Cloud: "gcp", Name: "s", Location: "p"},
		`{"extra":{"keyfile_dict":` + keyText + `,` + gcpDict + `:` + keyText + `}}`, "keyfile_dict", Runtime, nil},
	{"a reference with a version, in the connection's project", `{"extra":{"key_secret_name":"s","key_secret_version":"7","project":"p"}}`, key,
		entry.Reference{Cloud: "gcp", Name: "s", Location: "p", Version: "7"},
		`{"extra":{"project":"p",` + gcpLegacy + `project":"p","keyfile_dict":` + keyText + `,` + gcpDict + `:` + keyText + `}}`, "keyfile_dict", Runtime, nil},
	{"a reference by resource name", `{"extra":{"key_secret_name":"projects/p/secrets/s"}}`, key,
		entry.Reference{Cloud: "gcp", Name: "s", Location: "p"},
		`{"extra":{"keyfile_dict":` + keyText + `,` + gcpDict + `:` + keyText + `}}`, "keyfile_dict", Runtime, nil},
	{"a reference by resource name with a version", `{"extra":{` + gcpLegacy + `key_secret_name":"projects/p/secrets/s/versions/7"}}`, key,
		entry.Reference{Cloud: "gcp", Name: "s", Location: "p", Version: "7"},
		`{"extra":{"keyfile_dict":` + keyText + `,` + gcpDict + `:` + keyText + `}}`, "keyfile_dict", Runtime, nil},
	{"a reference to a regional secret", `{"extra":{"key_secret_name":"projects/p/locations/europe-west3/secrets/s"}}`, key,
		entry.Reference{Cloud: "gcp", Name: "s", Location: "p", Region: "europe-west3"},
		`{"extra":{"keyfile_dict":` + keyText + `,` + gcpDict + `:` + keyText + `}}`, "keyfile_dict", Runtime, nil},
	{"a reference to a version of a regional secret", `{"extra":{"key_secret_name":"projects/p/locations/us-central1/secrets/s/versions/7","project":"q"}}`, key,
		entry.Reference{Cloud: "gcp", Name: "s", Location: "p", Region: "us-central1", Version: "7"},
		`{"extra":{"project":"q",` + gcpLegacy + `project":"q","keyfile_dict":` + keyText + `,` + gcpDict + `:` + keyText + `}}`, "keyfile_dict", Runtime, nil},
	{`a fetched key with \n for newlines: repaired`, `{"extra":{"key_secret_name":"projects/p/secrets/s"}}`, `{"private_key":"A\\nB","client_email":"E","token_uri":"U"}`,
		entry.Reference{Cloud: "gcp", Name: "s", Location: "p"},
		`{"extra":{"keyfile_dict":"{\"private_key\":\"A\\nB\",\"client_email\":\"E\",\"token_uri\":\"U\"}",` + gcpDict + `:"{\"private_key\":\"A\\nB\",\"client_email\":\"E\",\"token_uri\":\"U\"}"}}`, "keyfile_dict", Runtime, nil},
	{"the project of a secret that is not named: keyless", `{"extra":{"key_secret_project_id":"p","key_secret_name":""}}`, "", entry.Reference{}, `{}`, "ADC", Runtime, []string{CredentialIgnored}},
	{"scopes, as a list", `{"extra":{"scopes":["a"," b"]}}`, "", entry.Reference{},
		`{"extra":{"scope":"a,b",` + gcpLegacy + `scope":"a,b"}}`, "ADC", Runtime, nil},
	{"scope and scopes: scope", `{"extra":{"scopes":["a"],"scope":"b, c"}}`, "", entry.Reference{},
		`{"extra":{"scope":"b,c",` + gcpLegacy + `scope":"b,c"}}`, "ADC", Runtime, nil},
	{"anonymous", `{"extra":{"is_anonymous":true}}`, "", entry.Reference{},
		`{"extra":{"is_anonymous":true,` + gcpLegacy + `is_anonymous":true}}`, "nobody: anonymous", Valid, nil},
	{`is_anonymous: "null"`, `{"extra":{"is_anonymous":"null"}}`, "", entry.Reference{}, `{}`, "ADC", Runtime, []string{ReadAsMeant}},
	{`is_anonymous: "false"`, `{"extra":{"is_anonymous":"false"}}`, "", entry.Reference{}, `{}`, "ADC", Runtime, []string{ReadAsMeant}},
	{"a stored key and is_anonymous: false", `{"extra":{"is_anonymous":false,"keyfile_dict":` + key + `}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":` + key + `,` + gcpDict + `:` + key + `}}`, "keyfile_dict", Valid, []string{KeyStoredInCore}},
	{"an external account's configuration", `{"extra":{"credential_config_file":"/c.json"}}`, "", entry.Reference{},
		`{"extra":{"credential_config_file":"/c.json",` + gcpLegacy + `credential_config_file":"/c.json"}}`, "credential_config_file", Runtime, nil},
	{"an external account's configuration and its issuer", `{"extra":{"credential_config_file":"/c.json","idp_issuer_url":"https://i"}}`, "", entry.Reference{},
		`{"extra":{"credential_config_file":"/c.json",` + gcpLegacy + `credential_config_file":"/c.json","idp_issuer_url":"https://i"}}`, "credential_config_file", Runtime, nil},
	{"fields that nobody here knows, numbers that a float cannot hold", `{"extra":{"labels":{"a":1.50},"num_retries":12345678901234567890}}`, "", entry.Reference{},
		`{"extra":{"labels":{"a":1.50},"num_retries":12345678901234567890,` + gcpLegacy + `num_retries":12345678901234567890}}`, "ADC", Runtime, nil},
}

// bigqueryRows are of a type whose hook is Google's too.
var bigqueryRows = []row{
	{"a stored key, and fields of its own", `{"extra":{"keyfile_dict":` + key + `,"location":"EU"}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":` + key + `,` + gcpDict + `:` + key + `,"location":"EU"}}`, "keyfile_dict", Valid, []string{KeyStoredInCore}},
	{"a reference", `{"extra":{"key_secret_name":"s","key_secret_project_id":"p"}}`, key,
		entry.Reference{Cloud: "gcp", Name: "s", Location: "p"},
		`{"extra":{"keyfile_dict":` + keyText + `,` + gcpDict + `:` + keyText + `}}`, "keyfile_dict", Runtime, nil},
	{"a stored key and a key file: the stored key", `{"extra":{"key_path":"/k.json","keyfile_dict":` + key + `}}`, "", entry.Reference{},
		`{"extra":{"keyfile_dict":` + key + `,` + gcpDict + `:` + key + `}}`, "keyfile_dict", Valid, []string{CredentialIgnored, KeyStoredInCore}},
}

var awsRows = []row{
	{"nothing: keyless", `{}`, "", entry.Reference{}, `{}`, "the default chain", Runtime, nil},
	{"a role: assumed from the pod's own identity", `{"extra":{"role_arn":"arn:aws:iam::1:role/r","region_name":"r"}}`, "", entry.Reference{},
		`{"extra":{"role_arn":"arn:aws:iam::1:role/r","region_name":"r"}}`, "the default chain, then role_arn", Runtime, nil},
	{"stored keys in login and password", `{"login":"I","password":"S"}`, "", entry.Reference{},
		`{"login":"I","password":"S"}`, "login and password", Valid, []string{KeyStoredInCore}},
	{"stored keys in the extra", `{"extra":{"aws_access_key_id":"I","aws_secret_access_key":"S","aws_session_token":"T"}}`, "", entry.Reference{},
		`{"extra":{"aws_access_key_id":"I","aws_secret_access_key":"S","aws_session_token":"T"}}`, "the extra's keys with a session token", Valid, []string{KeyStoredInCore}},
	{"stored keys in session_kwargs", `{"extra":{"session_kwargs":{"aws_access_key_id":"I","aws_secret_access_key":"S"}}}`, "", entry.Reference{},
		`{"extra":{"session_kwargs":{"aws_access_key_id":"I","aws_secret_access_key":"S"}}}`, "session_kwargs' keys", Valid, []string{KeyStoredInCore}},
	{"stored keys and a role: the role is assumed from the keys", `{"login":"I","password":"S","extra":{"role_arn":"arn:aws:iam::1:role/r"}}`, "", entry.Reference{},
		`{"login":"I","password":"S","extra":{"role_arn":"arn:aws:iam::1:role/r"}}`, "login and password, then role_arn", Valid, []string{KeyStoredInCore}},
	{"stored keys twice: login and password", `{"login":"I","password":"S","extra":{"aws_access_key_id":"J","aws_secret_access_key":"U"}}`, "", entry.Reference{},
		`{"login":"I","password":"S"}`, "login and password", Valid, []string{CredentialIgnored, KeyStoredInCore}},
	{"half a login, whole keys in the extra: the extra", `{"login":"I","extra":{"aws_access_key_id":"J","aws_secret_access_key":"U"}}`, "", entry.Reference{},
		`{"login":"I","extra":{"aws_access_key_id":"J","aws_secret_access_key":"U"}}`, "the extra's keys", Valid, []string{KeyStoredInCore}},
	{"stored keys and a reference: the stored keys", `{"login":"I","password":"S","extra":{"key_secret_name":"s","key_secret_region":"eu-west-1"}}`, "", entry.Reference{},
		`{"login":"I","password":"S"}`, "login and password", Valid, []string{CredentialIgnored, KeyStoredInCore}},
	{"a reference", `{"extra":{"key_secret_name":"s","key_secret_region":"eu-west-1","region_name":"us-east-1"}}`, `{"aws_access_key_id":"I","aws_secret_access_key":"S"}`,
		entry.Reference{Cloud: "aws", Name: "s", Location: "eu-west-1"},
		`{"login":"I","password":"S","extra":{"region_name":"us-east-1"}}`, "login and password", Runtime, nil},
	{"a reference in the connection's region, with a version and a role", `{"extra":{"key_secret_name":"s","region_name":"us-east-1","key_secret_version":"AWSPREVIOUS","key_secret_role_arn":"arn:aws:iam::123456789012:role/r"}}`, `{"AccessKeyId":"I","SecretAccessKey":"S","SessionToken":"T"}`,
		entry.Reference{Cloud: "aws", Name: "s", Location: "us-east-1", Version: "AWSPREVIOUS", Role: "arn:aws:iam::123456789012:role/r"},
		`{"login":"I","password":"S","extra":{"region_name":"us-east-1","aws_session_token":"T"}}`, "login and password with a session token", Runtime, nil},
	{"a reference by ARN", `{"extra":{"key_secret_name":"arn:aws:secretsmanager:eu-west-1:1:secret:s"}}`, `{"aws_access_key_id":"I","aws_secret_access_key":"S"}`,
		entry.Reference{Cloud: "aws", Name: "arn:aws:secretsmanager:eu-west-1:1:secret:s", Location: "eu-west-1"},
		`{"login":"I","password":"S"}`, "login and password", Runtime, nil},
	{"a reference and a role: the role is assumed from the fetched keys", `{"extra":{"key_secret_name":"s","role_arn":"arn:aws:iam::1:role/r"}}`, `{"aws_access_key_id":"I","aws_secret_access_key":"S"}`,
		entry.Reference{Cloud: "aws", Name: "s"},
		`{"login":"I","password":"S","extra":{"role_arn":"arn:aws:iam::1:role/r"}}`, "login and password, then role_arn", Runtime, nil},
	{"a reference beside half a pair and a stale token: the fetched keys alone", `{"login":"J","extra":{"key_secret_name":"s","aws_session_token":"old","session_kwargs":{"aws_session_token":"old"}}}`, `{"aws_access_key_id":"I","aws_secret_access_key":"S"}`,
		entry.Reference{Cloud: "aws", Name: "s"},
		`{"login":"I","password":"S"}`, "login and password", Runtime, []string{CredentialIgnored}},
	{"web identity", `{"extra":{"role_arn":"arn:aws:iam::1:role/r","assume_role_method":"assume_role_with_web_identity","assume_role_with_web_identity_federation":"file"}}`, "", entry.Reference{},
		`{"extra":{"role_arn":"arn:aws:iam::1:role/r","assume_role_method":"assume_role_with_web_identity","assume_role_with_web_identity_federation":"file"}}`, "the default chain, then role_arn", Runtime, nil},
}

// azureRows are those of every type by its tenant's name.
var azureRows = map[string][]row{
	"azure": {
		{"nothing: keyless", `{}`, "", entry.Reference{}, `{}`, "the default credential", Runtime, nil},
		{"a stored client secret", `{"login":"C","password":"S","extra":{"tenantId":"T","subscriptionId":"X"}}`, "", entry.Reference{},
			`{"login":"C","password":"S","extra":{"tenantId":"T","subscriptionId":"X"}}`, "the client secret", Valid, []string{KeyStoredInCore}},
		{"the tenant under another hook's name", `{"login":"C","password":"S","extra":{"tenant_id":"T"}}`, "", entry.Reference{},
			`{"login":"C","password":"S","extra":{"tenantId":"T"}}`, "the client secret", Valid, []string{ReadAsMeant, KeyStoredInCore}},
		{"the client secret in the extra", `{"extra":{"client_id":"C","client_secret":"S","tenantId":"T"}}`, "", entry.Reference{},
			`{"login":"C","password":"S","extra":{"tenantId":"T"}}`, "the client secret", Valid, []string{ReadAsMeant, KeyStoredInCore}},
		{"a workload identity", `{"extra":{"managed_identity_client_id":"C","workload_identity_tenant_id":"T"}}`, "", entry.Reference{},
			`{"extra":{"managed_identity_client_id":"C","workload_identity_tenant_id":"T"}}`, "the workload identity of its client", Runtime, nil},
		{"a workload identity and a stored secret: the workload identity", `{"login":"C","password":"S","extra":{"tenantId":"T","managed_identity_client_id":"C","workload_identity_tenant_id":"T"}}`, "", entry.Reference{},
			`{"extra":{"managed_identity_client_id":"C","workload_identity_tenant_id":"T"}}`, "the workload identity of its client", Runtime, []string{CredentialIgnored}},
		{"a client and a tenant without a secret: that client's workload identity", `{"login":"C","extra":{"tenantId":"T"}}`, "", entry.Reference{},
			`{"extra":{"managed_identity_client_id":"C","workload_identity_tenant_id":"T"}}`, "the workload identity of its client", Runtime, []string{ReadAsMeant}},
		{"a reference", `{"login":"C","extra":{"tenantId":"T","key_vault_url":"https://v.vault.azure.net","key_secret_name":"s"}}`, "S",
			entry.Reference{Cloud: "azure", Name: "s", Location: "https://v.vault.azure.net"},
			`{"login":"C","password":"S","extra":{"tenantId":"T"}}`, "the client secret", Runtime, nil},
		{"a reference with a version, the tenant under another hook's name", `{"login":"C","extra":{"tenant":"T","key_vault_url":"https://v.vault.azure.net","key_secret_name":"s","key_secret_version":"7"}}`, "S",
			entry.Reference{Cloud: "azure", Name: "s", Location: "https://v.vault.azure.net", Version: "7"},
			`{"login":"C","password":"S","extra":{"tenantId":"T"}}`, "the client secret", Runtime, []string{ReadAsMeant}},
		{"a stored secret and a reference: the stored secret", `{"login":"C","password":"S","extra":{"tenantId":"T","key_vault_url":"https://v.vault.azure.net","key_secret_name":"s"}}`, "", entry.Reference{},
			`{"login":"C","password":"S","extra":{"tenantId":"T"}}`, "the client secret", Valid, []string{CredentialIgnored, KeyStoredInCore}},
		{"a key file", `{"extra":{"key_path":"/k.json"}}`, "", entry.Reference{}, `{"extra":{"key_path":"/k.json"}}`, "key_path", Runtime, nil},
		{"a stored key file", `{"extra":{"key_json":{"clientId":"C"}}}`, "", entry.Reference{}, `{"extra":{"key_json":{"clientId":"C"}}}`, "key_json", Valid, []string{KeyStoredInCore}},
	},
	"wasb": {
		{"an account's name: keyless", `{"login":"account"}`, "", entry.Reference{}, `{"login":"account"}`, "the default credential", Runtime, nil},
		{"a stored account key", `{"login":"account","password":"S"}`, "", entry.Reference{}, `{"login":"account","password":"S"}`, "the password, as the account key", Valid, []string{KeyStoredInCore}},
		{"a stored client secret", `{"host":"H","login":"C","password":"S","extra":{"tenant_id":"T"}}`, "", entry.Reference{},
			`{"host":"H","login":"C","password":"S","extra":{"tenant_id":"T"}}`, "the client secret", Valid, []string{KeyStoredInCore}},
		{"the tenant under another hook's name: no account key", `{"host":"H","login":"C","password":"S","extra":{"tenantId":"T"}}`, "", entry.Reference{},
			`{"host":"H","login":"C","password":"S","extra":{"tenant_id":"T"}}`, "the client secret", Valid, []string{ReadAsMeant, KeyStoredInCore}},
		{"a legacy tenant beside an empty short one", `{"host":"H","login":"C","password":"S","extra":{"tenant_id":"","extra__wasb__tenant_id":"T"}}`, "", entry.Reference{},
			`{"host":"H","login":"C","password":"S","extra":{"tenant_id":"T"}}`, "the client secret", Valid, []string{KeyStoredInCore}},
		{"a stored connection string", `{"extra":{"connection_string":"S"}}`, "", entry.Reference{}, `{"extra":{"connection_string":"S"}}`, "connection_string", Valid, []string{KeyStoredInCore}},
		{"a stored token beside a tenant without a secret: the token", `{"host":"H","login":"C","extra":{"tenant_id":"T","sas_token":"S"}}`, "", entry.Reference{},
			`{"host":"H","login":"C","extra":{"sas_token":"S"}}`, "sas_token", Valid, []string{CredentialIgnored, KeyStoredInCore}},
		{"a stored client secret and a token: the client secret", `{"host":"H","login":"C","password":"S","extra":{"tenant_id":"T","sas_token":"S"}}`, "", entry.Reference{},
			`{"host":"H","login":"C","password":"S","extra":{"tenant_id":"T"}}`, "the client secret", Valid, []string{CredentialIgnored, KeyStoredInCore}},
		{"a stored token and a password: the token", `{"login":"account","password":"S","extra":{"sas_token":"S"}}`, "", entry.Reference{},
			`{"login":"account","extra":{"sas_token":"S"}}`, "sas_token", Valid, []string{CredentialIgnored, KeyStoredInCore}},
		{"a stored token and half a client under another hook's name: the token", `{"host":"H","password":"S","extra":{"tenantId":"T","sas_token":"S"}}`, "", entry.Reference{},
			`{"host":"H","extra":{"sas_token":"S"}}`, "sas_token", Valid, []string{ReadAsMeant, CredentialIgnored, CredentialIgnored, KeyStoredInCore}},
		{"a password and an account key: the password", `{"login":"account","password":"S","extra":{"account_key":"S"}}`, "", entry.Reference{},
			`{"login":"account","password":"S"}`, "the password, as the account key", Valid, []string{CredentialIgnored, KeyStoredInCore}},
		{"a workload identity, the account named by login", `{"login":"account","password":"S","extra":{"sas_token":"S","managed_identity_client_id":"C","workload_identity_tenant_id":"T"}}`, "", entry.Reference{},
			`{"login":"account","extra":{"managed_identity_client_id":"C","workload_identity_tenant_id":"T"}}`, "the workload identity of its client", Runtime, []string{CredentialIgnored, CredentialIgnored}},
		{"a client and a tenant without a secret: that client's workload identity", `{"host":"H","login":"C","extra":{"tenant_id":"T"}}`, "", entry.Reference{},
			`{"host":"H","extra":{"managed_identity_client_id":"C","workload_identity_tenant_id":"T"}}`, "the workload identity of its client", Runtime, []string{ReadAsMeant}},
		{"a reference to an account key", `{"login":"account","extra":{"key_vault_url":"https://v.vault.azure.net","key_secret_name":"s"}}`, "S",
			entry.Reference{Cloud: "azure", Name: "s", Location: "https://v.vault.azure.net"},
			`{"login":"account","password":"S"}`, "the password, as the account key", Runtime, nil},
	},
	"adls": {
		{"nothing: keyless", `{"host":"H"}`, "", entry.Reference{}, `{"host":"H"}`, "the default credential", Runtime, nil},
		{"a reference", `{"host":"H","login":"C","extra":{"tenant_id":"T","key_vault_url":"https://v.vault.azure.net","key_secret_name":"s"}}`, "S",
			entry.Reference{Cloud: "azure", Name: "s", Location: "https://v.vault.azure.net"},
			`{"host":"H","login":"C","password":"S","extra":{"tenant_id":"T"}}`, "the client secret", Runtime, nil},
	},
	"azure_data_lake": {
		{"nothing: keyless", `{}`, "", entry.Reference{}, `{}`, "the default credential", Runtime, nil},
		{"a client and a tenant without a secret: that client's workload identity", `{"login":"C","extra":{"tenant":"T"}}`, "", entry.Reference{},
			`{"extra":{"managed_identity_client_id":"C","workload_identity_tenant_id":"T"}}`, "the workload identity of its client", Runtime, []string{ReadAsMeant}},
		{"the tenant under another hook's name", `{"login":"C","password":"S","extra":{"tenantId":"T"}}`, "", entry.Reference{},
			`{"login":"C","password":"S","extra":{"tenant":"T"}}`, "the client secret", Valid, []string{ReadAsMeant, KeyStoredInCore}},
		{"a reference", `{"login":"C","extra":{"tenant":"T","key_vault_url":"https://v.vault.azure.net","key_secret_name":"s"}}`, "S",
			entry.Reference{Cloud: "azure", Name: "s", Location: "https://v.vault.azure.net"},
			`{"login":"C","password":"S","extra":{"tenant":"T"}}`, "the client secret", Runtime, nil},
	},
}
