package vaultapi

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Listing is what List does, for the words of its failures.
const Listing = "listing what Vault holds"

const reading = "reading the secret from Vault"

// maxFolders bounds the calls of one List.
const maxFolders = 200

// Read returns the JSON object that the newest version of a secret is. Its errors are *secretmanager.Failure.
func (s *Session) Read(ctx context.Context, mount, path string) (secret.Text, error) {
	got, err := s.ask(ctx, reading, http.MethodGet, s.client.pathOf(mount, "data", path))
	switch {
	case err != nil:
		return secret.Text{}, err
	case got.Status != http.StatusOK:
		return secret.Text{}, s.client.failure(reading, mount, path, got)
	}
	kept := got.Data
	if s.client.KVVersion == 2 {
		var envelope struct {
			Data json.RawMessage `json:"data"`
		}
		if json.Unmarshal(kept, &envelope) != nil {
			return secret.Text{}, secretmanager.Unreachable(reading)
		}
		kept = envelope.Data
	}
	if len(kept) == 0 || kept[0] != '{' {
		return secret.Text{}, secretmanager.Unusable("the answer holds no secret of KV version " + strconv.Itoa(s.client.KVVersion) +
			"; check kv_engine_version and mount_point in backend_kwargs")
	}
	return secret.New(string(kept)), nil
}

// List returns the paths of all secrets below a path, without it: folder by folder, since Vault lists one at a time.
// A path that is not there holds none. Its errors are *secretmanager.Failure.
func (s *Session) List(ctx context.Context, mount, path string) (secrets []string, err error) {
	folders := []string{""}
	for at := 0; at < len(folders); at++ {
		if at == maxFolders {
			return nil, &secretmanager.Failure{TooLarge: true, Text: Listing + ": there are too many folders; name the entries"}
		}
		keys, err := s.keys(ctx, mount, strings.Trim(path+"/"+folders[at], "/"))
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if strings.HasSuffix(key, "/") {
				folders = append(folders, folders[at]+key)
			} else {
				secrets = append(secrets, folders[at]+key)
			}
		}
	}
	return secrets, nil
}

// keys are what one folder holds.
func (s *Session) keys(ctx context.Context, mount, path string) ([]string, error) {
	got, err := s.ask(ctx, Listing, "LIST", strings.TrimSuffix(s.client.pathOf(mount, "metadata", path), "/")+"/")
	switch {
	case err != nil:
		return nil, err
	case got.Status == http.StatusNotFound && got.isVaults() && len(got.Errors)+len(got.Warnings) == 0:
		return nil, nil
	case got.Status != http.StatusOK:
		return nil, s.client.failure(Listing, mount, path, got)
	}
	var folder struct {
		Keys []string `json:"keys"`
	}
	if json.Unmarshal(got.Data, &folder) != nil || folder.Keys == nil { // of an empty folder Vault says 404
		return nil, secretmanager.Unreachable(Listing)
	}
	return folder.Keys, nil
}

// ListedBelow is the path of a policy that lets everything below a path be listed.
func (c *Client) ListedBelow(mount, path string) string {
	return strings.TrimSuffix(c.pathOf(mount, "metadata", path), "/") + "/*"
}

// pathOf is where the API has a path of a mount. The second version has a segment of its own for
// what is asked of it.
func (c *Client) pathOf(mount, what, path string) string {
	if c.KVVersion == 1 {
		return mount + "/" + path
	}
	return mount + "/" + what + "/" + path
}

// failure tells a missing secret from a missing mount: both are 404, and the latter says more.
func (c *Client) failure(doing, mount, path string, got answer) error {
	failure := secretmanager.AccessFailed(doing, got.Status, got.Header)
	switch {
	case !got.isVaults() && !isMoved(got.Status):
		return secretmanager.NotTheStores(doing, got.Status, got.Header)
	case got.Status == http.StatusForbidden:
		failure.Text = doing + `: no policy lets the pod's role read it; add path "` + c.pathOf(mount, "data", path) +
			`" { capabilities = ["read"] }, without which Vault says so of a secret that does not exist, too`
	case got.Status == http.StatusNotFound && len(got.Warnings) > 0:
		failure.Kind, failure.Text = nil, doing+": the mount "+mount+" is not of KV version "+strconv.Itoa(c.KVVersion)+"; correct kv_engine_version in backend_kwargs"
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
