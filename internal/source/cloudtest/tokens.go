package cloudtest

import (
	"crypto/rand"
	"sync"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Tokens issues service-account tokens and knows them again, as an API server does.
// Every cloud's server of one test trusts the same ones.
type Tokens struct {
	mu     sync.Mutex
	issued map[string]token
}

type token struct {
	subject, audience string
	expired           bool
}

// NewTokens returns an issuer that has issued nothing.
func NewTokens() *Tokens { return &Tokens{issued: map[string]token{}} }

// Pod is a pod of a service account, with a token for each audience.
func (t *Tokens) Pod(namespace, serviceAccount string, audiences ...string) provider.Identity {
	pod := provider.Identity{
		Namespace: namespace, ServiceAccount: serviceAccount, PodUID: rand.Text(),
		CloudTokens: map[string]secret.Text{},
	}
	for _, audience := range audiences {
		pod.CloudTokens[audience] = secret.New(t.issue(namespace, serviceAccount, audience))
	}
	return pod
}

func (t *Tokens) issue(namespace, serviceAccount, audience string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	made := providertest.Projected(namespace, serviceAccount, audience, "n33dle-token-"+rand.Text()).Reveal()
	t.issued[made] = token{subject: namespace + "/" + serviceAccount, audience: audience}
	return made
}

// Expire ends the tokens of a pod.
func (t *Tokens) Expire(pod provider.Identity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, text := range pod.CloudTokens {
		known := t.issued[text.Reveal()]
		known.expired = true
		t.issued[text.Reveal()] = known
	}
}

// subject is the service account that a token stands for.
func (t *Tokens) subject(text, audience string) (subject string, good bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, issued := t.issued[text]
	return known.subject, issued && !known.expired && known.audience == audience
}
