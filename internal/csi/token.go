package csi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/excerpt"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// tokensKey is where kubelet puts the tokens of the CSIDriver's tokenRequests: in the
// secrets where the CSIDriver says serviceAccountTokenInSecrets, otherwise in the
// volume context.
const tokensKey = "csi.storage.k8s.io/serviceAccount.tokens"

// taskTokenKey is the key that a Secret named by nodePublishSecretRef must have.
const taskTokenKey = "token"

// maxToken is far above what an issuer makes (Kubernetes' are about a kilobyte), and what
// core takes for each of a group of pods.
const maxToken = 16 << 10

// tokens are one pod's credentials.
type tokens struct {
	core secret.Text
	// given is set if core is that of nodePublishSecretRef.
	given bool
	// cloud holds the service-account tokens for every other audience.
	cloud map[string]secret.Text
}

// requestedToken is one entry of what stands under tokensKey. When it ends stands there too, and is for kubelet,
// which hands over none that it takes for ended, and for who verifies it: the node's clock may be wrong.
type requestedToken struct {
	Token string `json:"token"`
}

// readTokens finds the pod's credentials in a publish request. For core, the token
// that the user named in nodePublishSecretRef wins over the service account's.
func (n *node) readTokens(secrets, attributes map[string]string, coreNeeded bool) (tokens, error) {
	requested, err := requestedTokens(secrets, attributes)
	if err != nil {
		return tokens{}, err
	}
	taskToken, given, err := readTaskToken(secrets)
	if err != nil {
		return tokens{}, err
	}
	found := tokens{cloud: map[string]secret.Text{}}
	for audience, token := range requested {
		switch {
		case audience == n.Audience:
			found.core = secret.New(token.Token)
		case token.Token != "":
			found.cloud[audience] = secret.New(token.Token)
		}
	}
	if given {
		found.core, found.given = taskToken, true
		return found, nil
	}
	if !coreNeeded {
		return found, nil
	}
	return found, n.checkRequested(requested)
}

// requestedTokens decodes the service-account tokens by audience. What kubelet puts
// among the secrets cannot be written by the pod's author, so it wins.
func requestedTokens(secrets, attributes map[string]string) (map[string]requestedToken, error) {
	text, ok := secrets[tokensKey]
	if !ok {
		text = attributes[tokensKey]
	}
	if text == "" {
		return nil, nil
	}
	var requested map[string]requestedToken
	if err := json.Unmarshal([]byte(text), &requested); err != nil {
		// The decoder's message may quote what it read.
		return nil, invalidf("%s is not what kubelet writes there: a JSON object of tokens by audience", tokensKey)
	}
	for _, audience := range slices.Sorted(maps.Keys(requested)) {
		if size := len(requested[audience].Token); size > maxToken {
			return nil, invalidf("%s: the token for audience %s has %d bytes; %d is the most", tokensKey, excerpt.Quote(audience), size, maxToken)
		}
	}
	return requested, nil
}

// readTaskToken reads the Secret that nodePublishSecretRef names, if there is one.
func readTaskToken(secrets map[string]string) (token secret.Text, given bool, err error) {
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(secrets)), func(key string) bool { return key == tokensKey })
	if len(keys) == 0 {
		return secret.Text{}, false, nil
	}
	text, ok := secrets[taskTokenKey]
	// Files that Secrets are made from tend to end in a newline; tokens do not.
	text = strings.TrimSpace(text)
	switch {
	case !ok:
		return secret.Text{}, false, invalidf("volumes[].csi.nodePublishSecretRef: the Secret has no key %q", taskTokenKey)
	case text == "":
		return secret.Text{}, false, invalidf("volumes[].csi.nodePublishSecretRef: the key %q of the Secret is empty", taskTokenKey)
	case len(text) > maxToken:
		return secret.Text{}, false, invalidf("volumes[].csi.nodePublishSecretRef: the key %q of the Secret is not a token: it has %d bytes; %d is the most", taskTokenKey, len(text), maxToken)
	case strings.ContainsFunc(text, isOutsideHeader):
		return secret.Text{}, false, invalidf("volumes[].csi.nodePublishSecretRef: the key %q of the Secret is not a token: it has characters that no token has", taskTokenKey)
	}
	return secret.New(text), true, nil
}

// isOutsideHeader reports what cannot travel in an authorization header.
func isOutsideHeader(r rune) bool { return r <= ' ' || r > '~' }

// checkRequested says what to do when there is no usable service-account token for core.
func (n *node) checkRequested(requested map[string]requestedToken) error {
	token, ok := requested[n.Audience]
	switch {
	case !ok || token.Token == "":
		return status.Errorf(codes.Unauthenticated,
			"kubelet sent no token for audience %q: list that audience under tokenRequests of CSIDriver %s, or name a Secret with the key %q in volumes[].csi.nodePublishSecretRef",
			n.Audience, Name, taskTokenKey)
	case strings.ContainsFunc(token.Token, isOutsideHeader):
		return invalidf("%s: the token for audience %q has characters that no token has", tokensKey, n.Audience)
	}
	return nil
}
