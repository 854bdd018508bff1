package azure

import (
	"cmp"
	"context"
	"net/url"
	"regexp"
	"strings"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Store implements store.Store over one vault, as Airflow's AzureKeyVaultBackend reads it.
type Store struct {
	*Cloud
	store.Naming
	store.Text
	vaultURL string
}

const ownClient = "every pod reads as the client that the annotation " + ClientAnnotation + " of its service account names"

// NewStore returns a Store by Airflow's backend_kwargs; it asks nobody yet.
func NewStore(config Config, text string) (*Store, error) {
	kwargs, err := store.ParseKwargs(text)
	if err != nil {
		return nil, err
	}
	sep := kwargs.Text("sep", "-")
	made := &Store{vaultURL: kwargs.Text("vault_url", ""), Naming: store.Naming{
		Connections: kwargs.Prefix("connections", "airflow-connections", false),
		Variables:   kwargs.Prefix("variables", "airflow-variables", false),
		Join:        func(prefix, id string) (string, string) { return nameOf(prefix, sep, id) },
		Normal:      func(id string) string { return strings.ReplaceAll(id, "_", sep) },
	}}
	if part, _ := (entry.Reference{Cloud: "azure", Name: "x", Location: made.vaultURL}).Fault(); part != "" {
		kwargs.Mistake("vault_url", "is no vault's URL; it reads https://NAME.vault.azure.net")
	}
	config.Tenant = kwargs.Text("workload_identity_tenant_id", config.Tenant)
	kwargs.Ignore("config_prefix")
	kwargs.Refuse(ownClient, "tenant_id", "client_id", "client_secret", "managed_identity_client_id")
	made.Cloud = New(config)
	return made, kwargs.Err()
}

var secretName = regexp.MustCompile(`^[0-9A-Za-z-]+$`)

// nameOf has no underscore: the backend makes separators of all of them, the prefix's too.
func nameOf(prefix, sep, id string) (name, reason string) {
	name = id
	if prefix != "" {
		name = strings.TrimRight(prefix, sep) + sep + id
	}
	name = strings.ReplaceAll(name, "_", sep)
	if id != "" && (len(name) > 127 || !secretName.MatchString(name)) {
		return "", "no secret of Key Vault has such a name: it has 127 letters, digits and - at most"
	}
	return name, ""
}

// Batch implements store.Store.
func (*Store) Batch() int { return 1 }

// Open implements store.Store.
func (s *Store) Open(subject secretmanager.Subject) (store.Session, error) {
	subject.Location = s.vaultURL
	made, err := s.open(subject)
	if err != nil {
		return nil, err
	}
	return &storeSession{made, s}, nil
}

type storeSession struct {
	*session
	store *Store
}

// Read implements store.Session.
func (s *storeSession) Read(ctx context.Context, name string) (secret.Text, error) {
	answer, err := s.api.GetSecret(ctx, name, "", nil)
	switch {
	case err != nil:
		return secret.Text{}, explained(name, failure(err))
	case answer.Value == nil:
		return secret.Text{}, secretmanager.Unreachable(reading)
	}
	return secret.New(*answer.Value), nil
}

func explained(name string, err error) error {
	return store.Explain(err, "assign the role Key Vault Secrets User on the secret "+name+" to the pod's identity",
		"there is no "+name+" in the vault, or it is disabled")
}

const listing = "listing what Key Vault holds"

// isOfVault tells whether a URL leads to the vault, whatever its port.
func (s *Store) isOfVault(to string) bool {
	vault, err := url.Parse(cmp.Or(s.config.VaultEndpoint, s.vaultURL))
	next, wrong := url.Parse(to)
	return err == nil && wrong == nil && strings.EqualFold(next.Hostname(), vault.Hostname())
}

// List implements store.Lister. Key Vault has no filter: all names of the vault come.
func (s *storeSession) List(ctx context.Context, kind entry.Kind) ([]string, error) {
	if _, err := s.store.Begins(kind); err != nil {
		return nil, err
	}
	var (
		names []string
		pages secretmanager.Pages
	)
	for pager := s.api.NewListSecretPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, store.ListFailed(listing, failure(err), "the right to list the whole vault")
		}
		next := ""
		if page.NextLink != nil {
			next = *page.NextLink
		}
		if next != "" && !s.store.isOfVault(next) {
			return nil, secretmanager.Unreachable(listing) // the token would go there
		}
		if err := pages.Turn(listing, page.Value != nil, next); err != nil {
			return nil, err
		}
		for _, one := range page.Value {
			if one.ID != nil {
				names = append(names, one.ID.Name())
			}
		}
	}
	return s.store.IDs(kind, names), nil
}
