// Package vault reads HashiCorp Vault and OpenBao as Airflow's VaultBackend does, under a pod's
// identity: the pod's token logs in by the auth method kubernetes or jwt.
package vault

import (
	"cmp"
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
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
	// Roots verify Vault; those of the system where nil.
	Roots *x509.CertPool
	// RequestTimeout bounds one request over HTTP; five seconds by default.
	RequestTimeout time.Duration
}

// Vault implements store.Store.
type Vault struct {
	options
	audience string
	http     *http.Client
}

// options are what backend_kwargs say.
type options struct {
	address     string // without the slash at its end
	namespace   string
	authMount   string
	role        string
	mount       string // empty if it is the id's first segment
	version     int
	connections []string
	variables   []string
	teamPaths   bool
}

// New returns a Vault; it asks nobody yet.
func New(config Config) (*Vault, error) {
	read, err := readOptions(config.Kwargs)
	if err != nil {
		return nil, err
	}
	return &Vault{read, cmp.Or(config.TokenAudience, DefaultAudience), secretmanager.NewHTTPClient(config.Roots, config.RequestTimeout, nil)}, nil
}

const ownToken = `every pod logs in by its own token, so write "auth_type": "kubernetes" and "kubernetes_role", or "jwt" and "jwt_role"`

func readOptions(text string) (options, error) {
	kwargs, err := store.ParseKwargs(text)
	if err != nil {
		return options{}, err
	}
	made := options{
		address:     strings.TrimRight(kwargs.Text("url", ""), "/"),
		namespace:   strings.Trim(kwargs.Text("namespace", ""), "/"),
		mount:       strings.Trim(kwargs.Text("mount_point", "secret"), "/"),
		version:     kwargs.Number("kv_engine_version", 2),
		connections: stripped(kwargs.Texts("connections_path", "connections")),
		variables:   stripped(kwargs.Texts("variables_path", "variables")),
	}
	if more := kwargs.Text("global_secrets_path", ""); more != "" {
		more = strings.TrimRight(more, "/")
		made.connections, made.variables = append(made.connections, more), append(made.variables, more)
	}
	if at, err := url.Parse(made.address); err != nil || at.Scheme != "https" || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		kwargs.Mistake("url", "must be an https URL such as https://vault.example.com:8200, and pods' tokens go there")
	}
	if made.version != 1 && made.version != 2 {
		kwargs.Mistake("kv_engine_version", "must be 1 or 2")
	}
	method := kwargs.Text("auth_type", "token")
	roles := map[string]string{"kubernetes": kwargs.Text("kubernetes_role", ""), "jwt": kwargs.Text("jwt_role", "")}
	role, isOurs := roles[method]
	if !isOurs {
		kwargs.Mistake("auth_type", "cannot be used here: %s", ownToken)
	}
	made.role, made.authMount = role, cmp.Or(strings.Trim(kwargs.Text("auth_mount_point", ""), "/"), method)
	made.teamPaths = kwargs.Bool("use_team_secrets_path", true)
	kwargs.Ignore("config_path", "kubernetes_jwt_path", "jwt_token_path", "timeout")
	kwargs.Refuse(ownToken, "token", "token_path", "username", "password", "key_id", "secret_id", "role_id", "assume_role_kwargs", "region",
		"gcp_key_path", "gcp_keyfile_dict", "gcp_scopes", "azure_tenant_id", "azure_resource", "radius_host", "radius_secret", "radius_port", "jwt_token")
	kwargs.Refuse("the driver has a setting of its own for the CA's certificate", "verify", "cert")
	kwargs.Refuse("the driver takes its proxy from the environment variable HTTPS_PROXY", "proxies")
	return made, kwargs.Err()
}

// stripped are paths as Airflow takes them.
func stripped(texts []string) []string {
	for i := range texts {
		texts[i] = strings.TrimRight(texts[i], "/")
	}
	return texts
}

// Close closes the connections that are idle.
func (v *Vault) Close() error {
	v.http.CloseIdleConnections()
	return nil
}

// Annotations implements secretmanager.Opener.
func (*Vault) Annotations() []string { return []string{RoleAnnotation} }

// Batch implements store.Store.
func (*Vault) Batch() int { return 1 }

// pathsOf are those of a kind, and the option that says them.
func (o options) pathsOf(kind entry.Kind) (paths []string, option string) {
	if kind == entry.Variable {
		return o.variables, "variables_path"
	}
	return o.connections, "connections_path"
}

// isRole tells what a role may be called. A regular expression that counts so far takes 200 KB of
// every driver's memory.
func isRole(name string) bool {
	isControl := func(char rune) bool { return char < ' ' || char == 0x7f }
	return name != "" && len(name) <= 255 && !strings.ContainsFunc(name, isControl)
}

// Open implements secretmanager.Opener.
func (v *Vault) Open(subject secretmanager.Subject) (store.Session, error) {
	token, err := subject.Token(v.audience)
	if err != nil {
		return nil, err
	}
	account := "service account " + subject.Pod.Namespace + "/" + subject.Pod.ServiceAccount
	role, annotated := subject.Annotations[RoleAnnotation]
	switch {
	case annotated && !isRole(role):
		return nil, secretmanager.Unusable("annotation " + RoleAnnotation + " of " + account + " is no role; correct or remove it")
	case !annotated && v.role == "":
		return nil, secretmanager.Unusable("no role to log in to: annotate " + account + " with " + RoleAnnotation + "; or have one set for all in backend_kwargs")
	case !annotated:
		role = v.role
	}
	return &session{client{Vault: v, role: role, jwt: token}}, nil
}

// Names implements store.Store. Without a mount the id begins with one. A team has its own paths alone.
func (v *Vault) Names(team store.Team, name entry.Name) (names []string, reason string) {
	paths, option := v.pathsOf(name.Kind)
	mount, rest := v.mount, name.ID
	if mount == "" {
		mount, rest, _ = strings.Cut(name.ID, "/")
	}
	switch {
	case paths == nil:
		return nil, "the driver does not ask this store: " + option + " is null in its backend_kwargs"
	case team.Apart && v.teamPaths && team.Name == "" && strings.Contains(rest, "/"):
		return nil, "the driver does not ask this store: the id has a slash, which may lead to a team's own where teams are kept apart"
	case rest == "":
		return nil, "mount_point is null in the driver's backend_kwargs, and so the id must begin with a mount and a slash"
	}
	if team.Name != "" && v.teamPaths {
		rest = team.Name + "/" + rest
	}
	for _, path := range paths {
		made := strings.TrimPrefix(path+"/"+rest, "/")
		if !isPath(mount + "/" + made) {
			return nil, "no secret of Vault has such a name: its path has an empty segment, or one of dots alone"
		}
		names = append(names, mount+"\x00"+made)
	}
	return names, ""
}

// isPath refuses what would lead elsewhere, or nowhere.
func isPath(path string) bool {
	leads := []string{"", ".", ".."}
	return !slices.ContainsFunc(strings.Split(path, "/"), func(segment string) bool { return slices.Contains(leads, segment) })
}
