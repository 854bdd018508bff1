package vault

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/internal/source/vault/vaultapi"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// pathsOf are those of a kind, and the option that says them.
func (v *Vault) pathsOf(kind entry.Kind) (paths []string, option string) {
	if kind == entry.Variable {
		return v.variables, "variables_path"
	}
	return v.connections, "connections_path"
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
	case len(paths) == 0:
		return nil, "the driver does not ask this store: " + option + " is an empty list in its backend_kwargs"
	case team.Apart && v.teamPaths && team.Name == "" && strings.Contains(rest, "/"):
		return nil, "the driver does not ask this store: the id has a slash, which may lead to a team's own where teams are kept apart"
	case rest == "":
		return nil, "mount_point is null in the driver's backend_kwargs, and so the id must begin with a mount and a slash"
	}
	if team.Name != "" && v.teamPaths {
		rest = team.Name + "/" + rest
	}
	for _, path := range paths {
		made := strings.TrimPrefix(strings.TrimRight(path, "/")+"/"+rest, "/")
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

// session implements store.Session and store.Lister.
type session struct {
	api   *vaultapi.Session
	vault *Vault
}

// Read implements store.Session.
func (s *session) Read(ctx context.Context, name string) (secret.Text, error) {
	mount, path, _ := strings.Cut(name, "\x00")
	return s.api.Read(ctx, mount, path)
}

// List implements store.Lister.
func (s *session) List(ctx context.Context, kind entry.Kind) (ids []string, err error) {
	mount := s.vault.mount
	if mount == "" {
		return nil, store.Unlisted(`"*" cannot be asked of all mounts, and mount_point is null in backend_kwargs`)
	}
	paths, _ := s.vault.pathsOf(kind)
	for _, path := range paths {
		found, err := s.api.List(ctx, mount, path)
		if err != nil {
			return nil, store.ListFailed(vaultapi.Listing, err, `the capability "list" on `+s.vault.client.ListedBelow(mount, path))
		}
		ids = append(ids, found...)
	}
	return ids, nil
}

// Connection implements store.Store: a URI under "conn_uri", or Airflow's names of the fields.
func (*Vault) Connection(id string, kept secret.Text) (airflow.Connection, error) {
	members, err := jsontext.ParseObject([]byte(kept.Reveal()))
	if err != nil {
		return airflow.Connection{}, err
	}
	uri, found := jsontext.Last(members, "conn_uri")
	if !found || isFalse(uri) {
		return airflow.ParseJSON(id, []byte(kept.Reveal()))
	}
	text, err := uri.Text()
	if err != nil {
		return airflow.Connection{}, errors.New(`the secret's key "conn_uri" is not text; store a URI under it`)
	}
	return airflow.Parse(id, text)
}

// isFalse is what Python takes for false, of what a URI may be.
func isFalse(value jsontext.Item) bool {
	return slices.Contains([]string{`""`, "null", "false", "0", "[]", "{}"}, string(value.Value))
}

// Variable implements store.Store. Airflow gives what is no text as it is; a volume holds text, and
// so that is JSON.
func (*Vault) Variable(kept secret.Text) (secret.Text, error) {
	members, err := jsontext.ParseObject([]byte(kept.Reveal()))
	if err != nil {
		return secret.Text{}, err
	}
	value, found := jsontext.Last(members, "value")
	switch {
	case !found, string(value.Value) == "null":
		return secret.Text{}, errors.New(`the secret has no key "value"; store the variable under it`)
	case value.Value[0] != '"':
		return secret.New(string(value.AppendCompact(nil))), nil
	}
	text, err := value.Text()
	if err != nil {
		return secret.Text{}, errors.New(`the secret's key "value" is no text that can be read; store it anew`)
	}
	return secret.New(text), nil
}
