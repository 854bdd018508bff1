// Package vaultapi is what a source elsewhere has from the SDK of its store: requests to Vault, logins by
// a pod's token, the renewal of what they bring, and the paths of the KV engines. It knows no entry.
package vaultapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Client makes requests to one Vault. It is safe for concurrent use.
type Client struct {
	// Address has no slash at its end.
	Address   string
	Namespace string
	// AuthMount is where the method is mounted that logins go to.
	AuthMount string
	// KVVersion is that of the engines that are read: 1 or 2.
	KVVersion int
	HTTP      *http.Client
}

// answer is what Vault says, of which errors are never repeated: they quote what was sent.
type answer struct {
	secretmanager.Answer `json:"-"`

	RequestID string          `json:"request_id"`
	Data      json.RawMessage `json:"data"`
	Auth      struct {
		Token     string `json:"client_token"`
		Lease     int    `json:"lease_duration"`
		Renewable bool   `json:"renewable"`
	} `json:"auth"`
	Errors   []string `json:"errors"`
	Warnings []string `json:"warnings"`
}

// call makes one request. doing is for the error, which it returns only where there is no answer.
func (c *Client) call(ctx context.Context, doing, method, path string, token secret.Text, body map[string]string) (made answer, err error) {
	sent, _ := json.Marshal(body) // of texts: cannot fail
	if body == nil {
		sent = nil
	}
	request, err := http.NewRequestWithContext(ctx, method, c.Address+"/v1/"+escape(path), bytes.NewReader(sent))
	if err != nil {
		return made, secretmanager.Unusable("the secret's path makes no URL; correct the id")
	}
	request.Header.Set("X-Vault-Request", "true")
	if c.Namespace != "" {
		request.Header.Set("X-Vault-Namespace", c.Namespace)
	}
	if token.Len() > 0 {
		request.Header.Set("X-Vault-Token", token.Reveal())
	}
	if made.Answer, err = secretmanager.Ask(c.HTTP, doing, request); err != nil {
		return made, err
	}
	if len(made.Body) > 0 && json.Unmarshal(made.Body, &made) != nil {
		if made.Status == http.StatusOK {
			return made, secretmanager.Unreachable(doing)
		}
	}
	return made, nil
}

// isVaults tells an answer of Vault's, which has a request's id or a list of errors, from one of somebody before it.
func (a answer) isVaults() bool { return a.RequestID != "" || a.Errors != nil }

// isMoved is of an answer that leads elsewhere, which is not followed: the token would go there.
func isMoved(status int) bool { return status >= 300 && status < 400 }

const redirected = "Vault sends the driver to another address, as one on standby does; give it that of a load balancer that finds the active one"

// escape keeps slashes.
func escape(path string) string {
	segments := strings.Split(path, "/")
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	return strings.Join(segments, "/")
}
