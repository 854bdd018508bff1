package gcp

import (
	"context"
	"errors"
	"path"
	"regexp"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// listFor bounds a list, and pageSize is how many names a page of it has.
const (
	listFor  = 5 * time.Second
	pageSize = 1000
)

// Store implements store.Store over Secret Manager, as Airflow's CloudSecretManagerBackend reads it.
type Store struct {
	*Cloud
	store.Naming
	store.Text
	project string
	// region is that of regional secrets, empty for those that are not.
	region string
}

// NewStore returns a Store by Airflow's backend_kwargs; it asks nobody yet. Close it.
func NewStore(config Config, text string) (*Store, error) {
	kwargs, err := store.ParseKwargs(text)
	if err != nil {
		return nil, err
	}
	sep := kwargs.Text("sep", "-")
	made := &Store{project: kwargs.Text("project_id", ""), region: config.Region, Naming: store.Naming{
		Connections: kwargs.Prefix("connections", "airflow-connections", false),
		Variables:   kwargs.Prefix("variables", "airflow-variables", false),
		Join:        func(prefix, id string) (string, string) { return nameOf(prefix + sep + id) },
	}}
	if part, _ := made.reference("x").Fault(); part == entry.LocationPart {
		kwargs.Mistake("project_id", "names no project; a pod has none of its own, so write the one of the secrets")
	}
	if part, _ := made.reference("x").Fault(); part == entry.RegionPart {
		return nil, errors.New("no region of Google Cloud is called " + config.Region + "; write one such as europe-west3")
	}
	if begins := made.Connections.Text + sep; !made.Connections.Off && !secretName.MatchString(begins) {
		kwargs.Mistake("connections_prefix", "and sep have other characters than letters, digits, - and _, and Airflow does not start by them either")
	}
	kwargs.Ignore("config_prefix", "gcp_scopes")
	kwargs.Refuse("every pod reads as its own service account, or as the one that the annotation "+ServiceAccountAnnotation+" names",
		"gcp_keyfile_dict", "gcp_key_path", "gcp_credential_config_file", "impersonation_chain")
	if err := kwargs.Err(); err != nil {
		return nil, err
	}
	if made.Cloud, err = New(config); err != nil {
		return nil, err
	}
	return made, nil
}

var secretName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// nameOf is a name as it stands: Google's backend replaces nothing.
func nameOf(name string) (string, string) {
	if len(name) > 255 || !secretName.MatchString(name) {
		return "", "no secret of Secret Manager has such a name: it has 255 letters, digits, - and _ at most"
	}
	return name, ""
}

// Batch implements store.Store.
func (*Store) Batch() int { return 1 }

func (s *Store) reference(name string) entry.Reference {
	return entry.Reference{Cloud: "gcp", Name: name, Location: s.project, Region: s.region}
}

// parent is what the secrets are below.
func (s *Store) parent() string {
	if s.region != "" {
		return "projects/" + s.project + "/locations/" + s.region
	}
	return "projects/" + s.project
}

// Open implements store.Store.
func (s *Store) Open(subject secretmanager.Subject) (store.Session, error) {
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
	kept, err := s.Access(ctx, s.store.reference(name))
	if err == nil {
		err = secretmanager.Take(ctx, int64(kept.Len()))
	}
	at := s.store.parent() + "/secrets/" + name
	return kept, store.Explain(err, "grant roles/secretmanager.secretAccessor on "+at+" to the pod's identity",
		"there is no "+at+", or its latest version is disabled or destroyed")
}

// List implements store.Lister.
func (s *storeSession) List(ctx context.Context, kind entry.Kind) ([]string, error) {
	begins, err := s.store.Begins(kind)
	if err != nil {
		return nil, err
	}
	token, err := s.credentials.Token(ctx)
	if err != nil {
		return nil, secretmanager.OfPod(s.exchangeFailure(err))
	}
	ctx, cancel := context.WithTimeout(ctx, listFor) // of gRPC nothing else bounds a request
	defer cancel()
	at, err := s.endpoints.at(s.store.region)
	if err != nil {
		return nil, secretmanager.Unreachable(listing)
	}
	listed := at.api.ListSecrets(ctx, &secretmanagerpb.ListSecretsRequest{Parent: s.store.parent(), Filter: "name:" + begins},
		gax.WithRetry(nil), gax.WithGRPCOptions(grpc.PerRPCCredentials(bearer{secret.New(token.Value)})))
	var (
		names []string
		pages secretmanager.Pages
	)
	for next := ""; ; { // page by page, since Next goes on for ever where they lead in a circle
		page, following, err := listed.InternalFetch(pageSize, next)
		if err != nil {
			return nil, store.ListFailed(listing, at.failure(ctx, err), "secretmanager.secrets.list on project "+s.store.project)
		}
		if err := pages.Turn(listing, true, following); err != nil {
			return nil, err
		}
		for _, one := range page {
			if err := secretmanager.Take(ctx, int64(proto.Size(one))); err != nil {
				return nil, store.ListFailed(listing, err, "")
			}
			names = append(names, path.Base(one.GetName()))
		}
		if next = following; next == "" {
			return s.store.IDs(kind, names), nil
		}
	}
}
