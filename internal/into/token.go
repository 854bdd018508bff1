package into

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/claim"
	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// mountedToken is where Kubernetes mounts the token for the API server. Clusters that name an audience of their own for
// that, by --api-audiences, are told by this alone.
const mountedToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// maxToken is far above what an issuer makes.
const maxToken = 16 << 10

// Tokens are the files that have the credentials. They are read again for every use: kubelet renews what it
// projects.
type Tokens struct {
	// Files are of service-account tokens. Each says itself for which audience it is.
	Files []string
	// TaskFile is of a task instance's token for core; empty without one.
	TaskFile string
	// Audience is that of the service account's token for core.
	Audience string
	// Mounted is the file of the token for the API server, where its audience does not say so; empty for Kubernetes' own.
	Mounted string
	// Now is the clock that expiry is judged by; nil for the machine's.
	Now func() time.Time
}

// All are the files.
func (t Tokens) All() []string {
	if t.TaskFile == "" {
		return t.Files
	}
	return append([]string{t.TaskFile}, t.Files...)
}

// Core is the token for core.
func (t Tokens) Core() (secret.Text, error) {
	who, err := t.Identity()
	switch {
	case err != nil:
		return secret.Text{}, err
	case who.Token.Len() > 0:
		return who.Token, nil
	case len(who.CloudTokens) > 0:
		delete(who.CloudTokens, "") // which is one of the others
		return secret.Text{}, fmt.Errorf("--token-file: no token is for audience %q, which core wants, but for %q: write it as the audience of the projected serviceAccountToken",
			t.Audience, slices.Sorted(maps.Keys(who.CloudTokens)))
	default:
		return secret.Text{}, errors.New("core is asked with a token: give --token-file, of a projected serviceAccountToken, or --task-token-file")
	}
}

// Identity is whose the tokens are, as far as they say; without any it is somebody on a machine of
// their own. It fails for a token that no source would take.
func (t Tokens) Identity() (call.Identity, error) {
	host, _ := os.Hostname() // logs have it
	who := call.Identity{Namespace: "local", ServiceAccount: "local", PodName: host, CloudTokens: map[string]secret.Text{}, Direct: true}
	for _, path := range t.Files {
		text, found, err := t.read(path)
		if err != nil {
			return call.Identity{}, fmt.Errorf("--token-file: %w", err)
		}
		who.Namespace, who.ServiceAccount = found.Bound.Namespace, found.Bound.ServiceAccount.Name
		who.PodUID = found.Bound.Pod.UID
		if found.Bound.Pod.Name != "" {
			who.PodName = found.Bound.Pod.Name
		}
		if found.IsForAPIServer() || filepath.Clean(path) == cmp.Or(t.Mounted, mountedToken) {
			who.CloudTokens[""] = secret.New(text) // as tokenRequests have it
		}
		for _, audience := range found.Audience {
			if audience == t.Audience {
				who.Token = secret.New(text)
			} else {
				who.CloudTokens[audience] = secret.New(text)
			}
		}
	}
	if t.TaskFile != "" {
		text, err := readToken(t.TaskFile)
		if err != nil {
			return call.Identity{}, fmt.Errorf("--task-token-file: %w", err)
		}
		who.Token, who.TaskToken = secret.New(text), true
	}
	return who, nil
}

// leeway is how far the clock here may be ahead: who verifies the token says whether it has ended.
const leeway = 15 * time.Minute

// read takes a service account's token that has not expired.
func (t Tokens) read(path string) (text string, found claim.Claims, err error) {
	if text, err = readToken(path); err != nil {
		return "", found, err
	}
	if found, err = claim.Of(text); err != nil {
		return "", found, fmt.Errorf("%s %w", path, err)
	}
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	if until := found.ExpiresAt(); !until.IsZero() && !now().Before(until.Add(leeway)) {
		return "", found, fmt.Errorf("%s expired at %s, and this clock says %s: kubelet renews a token that it projects; "+
			"if this one is projected, compare the clocks of node and API server", path, until.Format(time.RFC3339), now().UTC().Format(time.RFC3339))
	}
	return text, found, nil
}

// readToken never quotes what it read.
func readToken(path string) (string, error) {
	file, err := regular.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	// Files that people make tend to end in a newline; tokens do not.
	text := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", err
	case len(content) > maxToken:
		return "", fmt.Errorf("%s has more than %d bytes, and is no token", path, maxToken)
	case text == "":
		return "", fmt.Errorf("%s is empty", path)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("%s has characters that no token has", path)
	}
	return text, nil
}
