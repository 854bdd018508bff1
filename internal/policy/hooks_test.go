package policy

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/airflow"
)

// What follows is what upstream's hooks do with a connection, written down from their
// code, and held against it as of 501c0d32 in apache/airflow (12 March 2026):
// GoogleBaseHook (providers/google common/hooks/base_google.py), AwsConnectionWrapper
// (providers/amazon aws/utils/connection_wrapper.py), AzureBaseHook, WasbHook,
// AzureDataLakeStorageV2Hook and AzureDataLakeHook (providers/microsoft/azure hooks).
// Each returns the credential that the hook uses, or "raises …".

// hooked is a connection as a hook sees it.
type hooked struct {
	login, password, host string
	extra                 map[string]any
	prefix                string
}

func hookedOf(conn airflow.Connection) hooked {
	seen := hooked{extra: map[string]any{}}
	for from, to := range map[*string]*string{conn.Login: &seen.login, conn.Host: &seen.host} {
		if from != nil {
			*to = *from
		}
	}
	if conn.Password != nil {
		seen.password = conn.Password.Reveal()
	}
	if conn.Extra != nil {
		_ = json.Unmarshal([]byte(conn.Extra.Reveal()), &seen.extra)
	}
	return seen
}

// field is upstream's get_field: a short name that is present wins, even if it is empty.
func (h hooked) field(name string) any {
	if value, present := h.extra[name]; present {
		if value == "" {
			return nil
		}
		return value
	}
	if h.prefix == "" {
		return nil
	}
	return h.extra[h.prefix+name]
}

func (h hooked) has(name string) bool { return truthy(h.field(name)) }

// truthy is Python's.
func truthy(value any) bool {
	switch value := value.(type) {
	case nil:
		return false
	case bool:
		return value
	case string:
		return value != ""
	case float64:
		return value != 0
	case map[string]any:
		return len(value) > 0
	case []any:
		return len(value) > 0
	}
	return true
}

func uses(conn airflow.Connection) string {
	seen := hookedOf(conn)
	switch conn.Type {
	case "google_cloud_platform", "gcpbigquery", "gcpcloudsql", "gcpspanner":
		return googleUses(seen)
	case "aws":
		return amazonUses(seen)
	case "azure":
		return azureUses(seen)
	case "wasb":
		return wasbUses(seen)
	case "adls":
		return adlsUses(seen)
	}
	return dataLakeUses(seen)
}

var plainSecretName = regexp.MustCompile(`^[a-zA-Z0-9-_]*$`)

func googleUses(h hooked) string {
	h.prefix = gcpPrefix
	set := 0
	for _, name := range gcpCredentials {
		if h.has(name) {
			set++
		}
	}
	if set > 1 {
		return "raises: mutually exclusive"
	}
	if scope := h.field("scope"); truthy(scope) {
		if _, isText := scope.(string); !isText {
			return "raises: scope is a list"
		}
	}
	switch {
	case h.has("is_anonymous"):
		return "nobody: anonymous"
	case h.has("key_path"):
		return keyPathUses(h)
	case h.has(secretName):
		if name, isText := h.field(secretName).(string); !isText || !plainSecretName.MatchString(name) {
			return "raises: not a plain secret name"
		}
		return "the secret, with the task's ADC"
	case h.has("keyfile_dict"):
		return keyfileUses(h.field("keyfile_dict"))
	case h.has("idp_issuer_url") && !h.has("credential_config_file"):
		return "raises: no credential_config_file"
	case h.has("credential_config_file"):
		return "credential_config_file"
	}
	return "ADC"
}

func keyPathUses(h hooked) string {
	if path, isText := h.field("key_path").(string); !isText || !strings.HasSuffix(path, ".json") {
		return "raises: not .json"
	}
	return "key_path"
}

func keyfileUses(value any) string {
	if text, isText := value.(string); isText {
		if json.Unmarshal([]byte(text), &value) != nil {
			return "raises: invalid key JSON"
		}
	}
	key, isObject := value.(map[string]any)
	if !isObject {
		return "raises: not an object"
	}
	for _, name := range []string{"private_key", "client_email", "token_uri"} {
		if _, present := key[name]; !present {
			return "raises: no " + name
		}
	}
	return "keyfile_dict"
}

func amazonUses(h hooked) string {
	kwargs, _ := h.field(awsKwargs).(map[string]any)
	source := "the default chain"
	switch {
	case h.login != "" && h.password != "":
		source = "login and password"
	case h.has(awsKeyID) && h.has(awsSecretKey):
		source = "the extra's keys"
	case truthy(kwargs[awsKeyID]) && truthy(kwargs[awsSecretKey]):
		source = "session_kwargs' keys"
	case h.has(awsKeyID) || h.has(awsSecretKey):
		return "raises: half a pair"
	}
	if h.has(awsSessionToken) || truthy(kwargs[awsSessionToken]) {
		if source == "the default chain" {
			return "raises: a session token without its keys"
		}
		source += " with a session token"
	}
	if h.has("role_arn") {
		source += ", then role_arn"
	}
	return source
}

// defaultUses is get_sync_default_azure_credential: half of the pair is ignored.
func (h hooked) defaultUses() string {
	if h.has(managedClient) && h.has(workloadTenant) {
		return "the workload identity of its client"
	}
	return "the default credential"
}

func azureUses(h hooked) string {
	switch {
	case h.has("key_path"):
		return keyPathUses(h)
	case h.has("key_json"):
		return "key_json"
	case h.login != "" && h.password != "" && h.has("tenantId"):
		return "the client secret"
	}
	return h.defaultUses()
}

func wasbUses(h hooked) string {
	h.prefix = "extra__wasb__"
	switch {
	case h.has("connection_string"):
		return "connection_string"
	case h.has("tenant_id"):
		return h.principalUses()
	case h.has("shared_access_key"):
		return "shared_access_key"
	case h.has("sas_token"):
		return "sas_token"
	case h.password != "":
		return "the password, as the account key"
	case h.has("account_key"):
		return "account_key"
	}
	return h.defaultUses()
}

func adlsUses(h hooked) string {
	h.prefix = "extra__adls__"
	switch {
	case h.has("connection_string"):
		return "connection_string"
	case h.has("tenant_id"):
		return h.principalUses()
	case h.password != "":
		return "the password, as the account key"
	}
	return h.defaultUses()
}

func (h hooked) principalUses() string {
	if h.password == "" {
		return "raises: no client secret"
	}
	return "the client secret"
}

func dataLakeUses(h hooked) string {
	h.prefix = "extra__azure_data_lake__"
	if h.has("tenant") {
		return h.principalUses()
	}
	return h.defaultUses()
}
