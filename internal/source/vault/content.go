package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Connection implements store.Store: a URI under "conn_uri", or Airflow's names of the fields.
func (*Vault) Connection(id string, kept secret.Text) (airflow.Connection, error) {
	members, err := membersOf(kept)
	if err != nil {
		return airflow.Connection{}, err
	}
	uri, found := memberOf(members, "conn_uri")
	if !found || isFalse(uri) {
		return airflow.ParseJSON(id, []byte(kept.Reveal()))
	}
	text, err := "", error(nil)
	if uri.Value[0] == '"' {
		text, err = uri.Text()
	}
	if err != nil || text == "" {
		return airflow.Connection{}, errors.New(`the secret's key "conn_uri" is not text; store a URI under it`)
	}
	return airflow.Parse(id, text)
}

// Variable implements store.Store. Airflow gives what is no text as it is; a volume holds text, and
// so that is JSON.
func (*Vault) Variable(kept secret.Text) (secret.Text, error) {
	members, err := membersOf(kept)
	if err != nil {
		return secret.Text{}, err
	}
	value, found := memberOf(members, "value")
	switch {
	case !found, string(value.Value) == "null":
		return secret.Text{}, errNoValue
	case value.Value[0] != '"':
		return secret.New(string(value.AppendCompact(nil))), nil
	}
	text, err := value.Text()
	if err != nil {
		return secret.Text{}, errors.New(`the secret's key "value" is no text that can be read; store it anew`)
	}
	return secret.New(text), nil
}

func membersOf(kept secret.Text) ([]jsontext.Member, error) {
	object, err := jsontext.Parse([]byte(kept.Reveal()))
	if err != nil {
		return nil, err
	}
	return object.Members()
}

func memberOf(members []jsontext.Member, key string) (jsontext.Item, bool) {
	at := slices.IndexFunc(members, func(one jsontext.Member) bool { return one.Key == key })
	if at < 0 {
		return jsontext.Item{}, false
	}
	return members[at].Item, true
}

// isFalse is what Python takes for false, of what a URI may be.
func isFalse(value jsontext.Item) bool {
	return slices.Contains([]string{`""`, "null", "false", "0", "[]", "{}"}, string(value.Value))
}

// List implements store.Lister: folder by folder, which takes the capability "list".
func (s *session) List(ctx context.Context, kind entry.Kind) ([]string, error) {
	paths := s.connections
	if kind == entry.Variable {
		paths = s.variables
	}
	if s.mount == "" {
		return nil, &secretmanager.Failure{Kind: provider.ErrDenied, Whole: true, Text: `"*" cannot be asked of all mounts, and mount_point is null in backend_kwargs; name the entries`}
	}
	var ids []string
	for _, path := range paths {
		below, err := s.listBelow(ctx, path)
		if err != nil {
			return nil, err
		}
		ids = append(ids, below...)
	}
	return ids, nil
}

// mostFolders bounds the calls of one List.
const mostFolders = 200

func (s *session) listBelow(ctx context.Context, path string) (ids []string, err error) {
	folders := []string{""}
	for asked := 0; len(folders) > 0; asked++ {
		if asked == mostFolders {
			return nil, secretmanager.Unusable(listing + ": there are too many folders; name the entries")
		}
		folder := folders[0]
		folders = folders[1:]
		keys, err := s.keys(ctx, strings.Trim(path+"/"+folder, "/"))
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if strings.HasSuffix(key, "/") {
				folders = append(folders, folder+key)
			} else {
				ids = append(ids, folder+key)
			}
		}
	}
	return ids, nil
}

// keys are what one folder holds; nothing if there is no such folder.
func (s *session) keys(ctx context.Context, path string) ([]string, error) {
	got, err := s.ask(ctx, asked{listing, "LIST", strings.TrimSuffix(s.pathOf(s.mount, "metadata", path), "/") + "/"})
	switch {
	case err != nil:
		return nil, err
	case got.status == http.StatusNotFound && len(got.Errors)+len(got.Warnings) == 0:
		return nil, nil
	case got.status == http.StatusForbidden:
		return nil, &secretmanager.Failure{Kind: provider.ErrDenied, Whole: true, Text: listing + `: "*" takes the capability "list" on ` + s.pathOf(s.mount, "metadata", path) +
			"/; add it to the role's policy, or name the entries"}
	case got.status != http.StatusOK:
		return nil, secretmanager.OfPod(s.failure(listing, s.mount, path, got))
	}
	var folder struct {
		Keys []string `json:"keys"`
	}
	if json.Unmarshal(got.Data, &folder) != nil {
		return nil, secretmanager.Unreachable(listing)
	}
	return folder.Keys, nil
}
