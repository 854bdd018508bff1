package aws

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	readingParameter  = "reading the parameter from Parameter Store"
	listingParameters = "listing what Parameter Store holds"
)

// ParameterStore implements store.Store over Systems Manager, as Airflow's
// SystemsManagerParameterStoreBackend reads it.
type ParameterStore struct {
	identities
	store.Naming
	store.Text
}

// NewParameterStore returns a ParameterStore by Airflow's backend_kwargs; it asks nobody yet.
func NewParameterStore(config Config, text string) (*ParameterStore, error) {
	kwargs, err := store.ParseKwargs(text)
	if err != nil {
		return nil, err
	}
	made := &ParameterStore{Naming: store.Naming{
		Connections: kwargs.Prefix("connections", "/airflow/connections", true),
		Variables:   kwargs.Prefix("variables", "/airflow/variables", true),
		Join:        parameterOf,
	}}
	config.Endpoint = "" // which is Secrets Manager's
	made.identities = newIdentities(commonOptions(kwargs, config))
	return made, kwargs.Err()
}

// parameterName is what Parameter Store takes for a name and, behind a colon, a version or a label.
var parameterName = regexp.MustCompile(`^[A-Za-z0-9/_.-]+(:[A-Za-z0-9_.-]+)?$`)

func parameterOf(prefix, id string) (name, reason string) {
	name = strings.TrimRight(prefix, "/") + "/" + id
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	if id != "" && (len(name) > 1011 || !parameterName.MatchString(name)) {
		return "", "no parameter of Parameter Store has such a name: it has letters, digits and / _ . - alone"
	}
	return name, ""
}

// Batch implements store.Store. AWS takes 10 names in a call.
func (*ParameterStore) Batch() int { return 10 }

// Open implements store.Store.
func (p *ParameterStore) Open(subject secretmanager.Subject) (store.Session, error) {
	made, err := p.of(systemsManager, subject)
	if err != nil {
		return nil, err
	}
	return &parameterSession{made, p}, nil
}

type parameterSession struct {
	*api
	store *ParameterStore
}

// parameter is what Systems Manager says of one.
type parameter struct{ Name, Value *string }

// Read implements store.Session.
func (s *parameterSession) Read(ctx context.Context, name string) (secret.Text, error) {
	var answer struct{ Parameter parameter }
	err := s.call(ctx, readingParameter, "GetParameter", map[string]any{"Name": name, "WithDecryption": true}, &answer)
	switch {
	case err != nil:
		return secret.Text{}, explainedParameter(name, err)
	case answer.Parameter.Value == nil:
		return secret.Text{}, secretmanager.Unreachable(readingParameter)
	}
	return secret.New(*answer.Parameter.Value), nil
}

func explainedParameter(name string, err error) error {
	return store.Explain(err, "allow ssm:GetParameter on arn:aws:ssm:REGION:ACCOUNT:parameter"+name+
		", without which AWS says so of a parameter that does not exist, too; of one that is encrypted by a key of yours, allow kms:Decrypt",
		"there is no "+name)
}

// ReadBatch implements store.Batcher. What AWS calls invalid is read alone, for it does not say why.
func (s *parameterSession) ReadBatch(ctx context.Context, names []string) (map[string]store.Result, error) {
	asked := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.Contains(name, ":") }) // answered by another name
	if len(asked) == 0 {
		return nil, nil
	}
	var answer struct{ Parameters []parameter }
	if err := s.call(ctx, readingParameter, "GetParameters", map[string]any{"Names": asked, "WithDecryption": true}, &answer); err != nil {
		return nil, err
	}
	told := map[string]store.Result{}
	for _, one := range answer.Parameters {
		if one.Name != nil && one.Value != nil {
			told[*one.Name] = store.Result{Kept: secret.New(*one.Value)}
		}
	}
	return told, nil
}

// List implements store.Lister.
func (s *parameterSession) List(ctx context.Context, kind entry.Kind) ([]string, error) {
	begins, err := s.store.Begins(kind)
	if err != nil {
		return nil, err
	}
	names, err := s.names(ctx, listingParameters, "GetParametersByPath", map[string]any{"Path": begins, "Recursive": true})
	if err != nil {
		return nil, store.ListFailed(listingParameters, err, "ssm:GetParametersByPath on "+begins)
	}
	return s.store.IDs(kind, names), nil
}
