package vault

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	loggingIn = "logging in to Vault by the pod's token"
	reading   = "reading the secret from Vault"
	listing   = "listing what Vault holds"
)

// session implements store.Session and store.Lister.
type session struct{ client }

// Read implements store.Session.
func (s *session) Read(ctx context.Context, name string) (secret.Text, error) {
	mount, path, _ := strings.Cut(name, "\x00")
	got, err := s.ask(ctx, reading, http.MethodGet, s.pathOf(mount, "data", path))
	switch {
	case err != nil:
		return secret.Text{}, err
	case got.Status != http.StatusOK:
		return secret.Text{}, s.failure(reading, mount, path, got)
	}
	kept := got.Data
	if s.version == 2 {
		var envelope struct {
			Data json.RawMessage `json:"data"`
		}
		if json.Unmarshal(kept, &envelope) != nil {
			return secret.Text{}, secretmanager.Unreachable(reading)
		}
		kept = envelope.Data
	}
	if len(kept) == 0 || kept[0] != '{' {
		return secret.Text{}, secretmanager.Unusable("the answer holds no secret of KV version " + strconv.Itoa(s.version) + "; check kv_engine_version and mount_point in backend_kwargs")
	}
	return secret.New(string(kept)), nil
}

// failure tells a missing secret from a missing mount: both are 404, and the latter says more.
func (s *session) failure(doing, mount, path string, got answer) error {
	failure := secretmanager.AccessFailed(doing, got.Status, got.Header)
	switch {
	case got.Status == http.StatusForbidden:
		failure.Text = doing + `: no policy lets the pod's role read it; add path "` + s.pathOf(mount, "data", path) +
			`" { capabilities = ["read"] }, without which Vault says so of a secret that does not exist, too`
	case got.Status == http.StatusNotFound && len(got.Warnings) > 0:
		failure.Kind, failure.Text = nil, doing+": the mount "+mount+" is not of KV version "+strconv.Itoa(s.version)+"; correct kv_engine_version in backend_kwargs"
	case got.Status == http.StatusNotFound && len(got.Errors) > 0:
		failure.Kind, failure.Whole = provider.ErrUnavailable, true
		failure.Text = doing + ": there is nothing mounted at " + mount + "; mount it, or correct mount_point or namespace in backend_kwargs"
	case got.Status == http.StatusNotFound:
		failure.Text = doing + ": there is no " + path + " in mount " + mount + ", or its version is deleted; write it"
	case got.Status == http.StatusPreconditionFailed: // of one that has not caught up with what was written
		failure.Kind = provider.ErrUnavailable
	case isMoved(got.Status):
		failure.Text = redirected
	}
	return failure
}

// pathOf is where the API has a path of a mount. The second version has a segment of its own for
// what is asked of it.
func (s *session) pathOf(mount, what, path string) string {
	if s.version == 1 {
		return mount + "/" + path
	}
	return mount + "/" + what + "/" + path
}

// mostFolders bounds the calls for one path of a List.
const mostFolders = 200

// List implements store.Lister: folder by folder, which takes the capability "list".
func (s *session) List(ctx context.Context, kind entry.Kind) (ids []string, err error) {
	if s.mount == "" {
		return nil, &secretmanager.Failure{Kind: provider.ErrDenied, Whole: true, Text: `"*" cannot be asked of all mounts, and mount_point is null in backend_kwargs; name the entries`}
	}
	paths, _ := s.pathsOf(kind)
	for _, path := range paths {
		folders := []string{""}
		for at := 0; at < len(folders); at++ {
			if at == mostFolders {
				return nil, secretmanager.Unusable(listing + ": there are too many folders; name the entries")
			}
			keys, err := s.keys(ctx, strings.Trim(path+"/"+folders[at], "/"))
			if err != nil {
				return nil, err
			}
			for _, key := range keys {
				if strings.HasSuffix(key, "/") {
					folders = append(folders, folders[at]+key)
				} else {
					ids = append(ids, folders[at]+key)
				}
			}
		}
	}
	return ids, nil
}

// keys are what one folder holds; nothing if there is no such folder.
func (s *session) keys(ctx context.Context, path string) ([]string, error) {
	at := strings.TrimSuffix(s.pathOf(s.mount, "metadata", path), "/") + "/"
	got, err := s.ask(ctx, listing, "LIST", at)
	switch {
	case err != nil:
		return nil, err
	case got.Status == http.StatusNotFound && len(got.Errors)+len(got.Warnings) == 0:
		return nil, nil
	case got.Status != http.StatusOK:
		return nil, store.ListFailed(listing, s.failure(listing, s.mount, path, got), `the capability "list" on `+at)
	}
	var folder struct {
		Keys []string `json:"keys"`
	}
	if json.Unmarshal(got.Data, &folder) != nil {
		return nil, secretmanager.Unreachable(listing)
	}
	return folder.Keys, nil
}
