package aws

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Store implements store.Store over Secrets Manager, as Airflow's SecretsManagerBackend reads it.
type Store struct {
	identities
	store.Naming
	// words are the keys of a JSON secret by the field that they stand for.
	words map[string][]string
}

// NewStore returns a Store by Airflow's backend_kwargs; it asks nobody yet. What they say of region
// and endpoint comes before the config's.
func NewStore(config Config, text string) (*Store, error) {
	kwargs, err := store.ParseKwargs(text)
	if err != nil {
		return nil, err
	}
	sep := kwargs.Text("sep", "/")
	made := &Store{words: fieldWords(), Naming: store.Naming{
		TeamsNeedPrefix: true,
		Connections:     kwargs.Prefix("connections", "airflow/connections", true),
		Variables:       kwargs.Prefix("variables", "airflow/variables", true),
	}}
	made.Join = func(prefix, id string) (string, string) { return nameOf(prefix, sep, id) }
	made.addWords(kwargs)
	made.identities = newIdentities(commonOptions(kwargs, config))
	return made, kwargs.Err()
}

// secretName is what Secrets Manager takes for a name, or an ARN.
var secretName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!:-]+$`)

func nameOf(prefix, sep, id string) (name, reason string) {
	name = id
	if prefix != "" {
		name = strings.TrimRight(prefix, sep) + sep + id
	}
	if id != "" && (len(name) > 512 || !secretName.MatchString(name)) {
		return "", "no secret of Secrets Manager has such a name: it has letters, digits and / _ + = . @ - alone"
	}
	return name, ""
}

// Batch implements store.Store. AWS takes 20 ids in a call.
func (*Store) Batch() int { return 20 }

// Open implements store.Store.
func (s *Store) Open(subject secretmanager.Subject) (store.Session, error) {
	api, err := s.of(secretsManager, subject)
	if err != nil {
		return nil, err
	}
	return &storeSession{session{api}, s}, nil
}

type storeSession struct {
	session
	store *Store
}

// Read implements store.Session.
func (s *storeSession) Read(ctx context.Context, name string) (secret.Text, error) {
	kept, err := s.Access(ctx, entry.Reference{Name: name})
	return kept, explained(name, err)
}

// explained says which line of a policy would have AWS tell a secret that is missing from one that is
// denied.
func explained(name string, err error) error {
	return store.Explain(err, "allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:REGION:ACCOUNT:secret:"+name+
		"-?????? and on the same without -??????, without which AWS says so of a secret that does not exist, too; of one that is encrypted by a key of yours, allow kms:Decrypt",
		"there is no "+name+", or it is marked for deletion")
}

// ReadBatch implements store.Batcher.
func (s *storeSession) ReadBatch(ctx context.Context, names []string) (map[string]store.Result, error) {
	told := map[string]store.Result{}
	for page, err := range s.pages(ctx, reading, batchOfSecrets, map[string]any{"SecretIdList": names}) {
		if err != nil {
			return nil, err
		}
		for _, value := range page.SecretValues {
			for _, asked := range []*string{value.Name, value.ARN} {
				if asked != nil && slices.Contains(names, *asked) {
					kept, err := textOf(value.SecretString, value.SecretBinary)
					told[*asked] = store.Result{Kept: kept, Err: explained(*asked, err)}
				}
			}
		}
		for _, refused := range page.Errors {
			// A code that is not known, or that asking again may mend, is for a call of its own.
			if refused.SecretId == nil || refused.ErrorCode == nil {
				continue
			}
			err := ofErrorCode(reading, *refused.ErrorCode, aws.ToString(refused.Message))
			if err != nil && !errors.Is(err, provider.ErrUnavailable) && !errors.Is(err, provider.ErrUnauthenticated) {
				told[*refused.SecretId] = store.Result{Err: explained(*refused.SecretId, err)}
			}
		}
	}
	return told, nil
}

// List implements store.Lister.
func (s *storeSession) List(ctx context.Context, kind entry.Kind) ([]string, error) {
	begins, err := s.store.Begins(kind)
	if err != nil {
		return nil, err
	}
	input := map[string]any{}
	if begins != "" {
		input["Filters"] = []map[string]any{{"Key": "name", "Values": []string{begins}}}
	}
	names, err := s.names(ctx, listing, "ListSecrets", input)
	if err != nil {
		return nil, store.ListFailed(listing, err, "secretsmanager:ListSecrets, which cannot be limited to a prefix")
	}
	return s.store.IDs(kind, names), nil
}

// Connection implements store.Store: a URI, or JSON by any of the words for each field. Other
// keys are dropped, as Airflow drops them.
func (s *Store) Connection(id string, kept secret.Text) (airflow.Connection, error) {
	text := airflow.TrimSpace(kept.Reveal())
	if !strings.HasPrefix(text, "{") {
		return airflow.Parse(id, text)
	}
	standard, err := s.standardized(text)
	if err != nil {
		return airflow.Connection{}, err
	}
	made, err := airflow.ParseJSON(id, standard)
	var field *airflow.FieldError
	if errors.As(err, &field) {
		return made, fmt.Errorf("%w", &airflow.FieldError{Field: field.Field, Reason: field.Reason}) // its place is not the secret's
	}
	return made, err
}

// Variable implements store.Store.
func (*Store) Variable(kept secret.Text) (secret.Text, error) { return kept, nil }
