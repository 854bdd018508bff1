// Package vault reads HashiCorp Vault and OpenBao as Airflow's VaultBackend does, under a pod's
// identity: the pod's token logs in by the auth method kubernetes or jwt.
package vault

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/internal/source/vault/vaultapi"
)

// RoleAnnotation names the role that pods log in to where it is not the one of backend_kwargs.
const RoleAnnotation = "secrets.csi.leoflow.io/vault-role"

// DefaultAudience is that of pods' tokens where Config names none.
const DefaultAudience = "vault"

// Config is how to reach Vault.
type Config struct {
	// Kwargs are Airflow's backend_kwargs, as JSON.
	Kwargs string
	// TokenAudience is that of the pod's token; DefaultAudience by default.
	TokenAudience string
	// HTTP is a client of secretmanager.NewHTTPClient. Required.
	HTTP *http.Client
}

// Vault implements store.Store.
type Vault struct {
	client      *vaultapi.Client
	audience    string
	role        string
	mount       string // empty if it is the id's first segment
	connections []string
	variables   []string
	teamPaths   bool
}

const ownToken = `every pod logs in by its own token, so write "auth_type": "kubernetes" and "kubernetes_role", or "jwt" and "jwt_role"`

// New returns a Vault; it asks nobody yet.
func New(config Config) (*Vault, error) {
	kwargs, err := store.ParseKwargs(config.Kwargs)
	if err != nil {
		return nil, err
	}
	client := &vaultapi.Client{
		Address:   strings.TrimRight(kwargs.Text("url", ""), "/"),
		Namespace: strings.Trim(kwargs.Text("namespace", ""), "/"),
		KVVersion: kwargs.Number("kv_engine_version", 2),
		HTTP:      config.HTTP,
	}
	made := &Vault{
		client:      client,
		audience:    cmp.Or(config.TokenAudience, DefaultAudience),
		mount:       strings.Trim(kwargs.Text("mount_point", "secret"), "/"),
		connections: kwargs.Texts("connections_path", "connections"),
		variables:   kwargs.Texts("variables_path", "variables"),
		teamPaths:   kwargs.Bool("use_team_secrets_path", true),
	}
	const absent = "\x00" // for an empty one leads to the root of the mount
	if more, null := kwargs.TextOrNull("global_secrets_path", absent); !null && more != absent {
		made.connections, made.variables = append(made.connections, more), append(made.variables, more)
	}
	if at, err := url.Parse(client.Address); err != nil || at.Scheme != "https" || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		kwargs.Mistake("url", "must be an https URL such as https://vault.example.com:8200, and pods' tokens go there")
	}
	if client.KVVersion != 1 && client.KVVersion != 2 {
		kwargs.Mistake("kv_engine_version", "must be 1 or 2")
	}
	method := kwargs.Text("auth_type", "token")
	roles := map[string]string{"kubernetes": kwargs.Text("kubernetes_role", ""), "jwt": kwargs.Text("jwt_role", "")}
	role, isOurs := roles[method]
	if !isOurs {
		kwargs.Mistake("auth_type", "cannot be used here: %s", ownToken)
	}
	made.role, client.AuthMount = role, cmp.Or(strings.Trim(kwargs.Text("auth_mount_point", ""), "/"), method)
	kwargs.Ignore("config_path", "kubernetes_jwt_path", "jwt_token_path", "timeout")
	kwargs.Refuse(ownToken, "token", "token_path", "username", "password", "key_id", "secret_id", "role_id", "assume_role_kwargs", "region",
		"gcp_key_path", "gcp_keyfile_dict", "gcp_scopes", "azure_tenant_id", "azure_resource", "radius_host", "radius_secret", "radius_port", "jwt_token")
	kwargs.IgnoreTrue("verify")
	kwargs.Refuse("the driver has a setting of its own for the CA's certificate", "verify", "cert")
	kwargs.Refuse("the driver takes its proxy from the environment variable HTTPS_PROXY", "proxies")
	return made, kwargs.Err()
}

// Close closes the connections that are idle.
func (v *Vault) Close() error {
	v.client.HTTP.CloseIdleConnections()
	return nil
}

// Annotations implements secretmanager.Opener.
func (*Vault) Annotations() []string { return []string{RoleAnnotation} }

// Batch implements store.Store.
func (*Vault) Batch() int { return 1 }

// IsPrompt implements secretmanager.Prompt.
func (*Vault) IsPrompt() bool { return true }

// Open implements secretmanager.Opener.
func (v *Vault) Open(subject secretmanager.Subject) (store.Session, error) {
	token, err := subject.Token(v.audience)
	if err != nil {
		return nil, err
	}
	role, annotated, err := subject.Annotated(RoleAnnotation, isRole, "no role")
	switch {
	case err != nil:
		return nil, err
	case !annotated && v.role == "":
		return nil, secretmanager.Unusable("no role to log in to: annotate " + subject.Account() + " with " + RoleAnnotation + "; or have one set for all in backend_kwargs")
	case !annotated:
		role = v.role
	}
	return &session{v.client.Open(role, secretmanager.Presented{Audience: v.audience, Token: token}), v}, nil
}

// isRole tells what a role may be called. A regular expression that counts so far takes 200 KB of
// every driver's memory.
func isRole(name string) bool {
	isControl := func(char rune) bool { return char < ' ' || char == 0x7f }
	return name != "" && len(name) <= 255 && !strings.ContainsFunc(name, isControl)
}
