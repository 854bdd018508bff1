package e2e

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/test/stack"
)

// Whoever refuses a pod's token, since it is for another audience than his, the pod's event names the audience that was
// shown and the issuer: by these two its owner finds which side is configured wrongly. Vault's row is one of
// TestWhatVaultRefusesIsToldByTheRightWord.
func TestATokenForAnotherAudienceIsNamedInTheEvent(t *testing.T) {
	c := startStores(t, func(string) (string, error) { return soundURI, nil })
	ofPod := providertest.Issuer
	rows := map[string]struct{ connections, source, reason, audience, issuer string }{
		"s3":           {"s3", "core", "ReferenceUnresolved", cloudtest.AWSTokenAudience, ofPod},
		"gcs":          {"gcs", "core", "ReferenceUnresolved", cloudtest.GCPTokenAudience, ofPod},
		"blob":         {"blob", "core", "ReferenceUnresolved", cloudtest.AzureTokenAudience, ofPod},
		secretsManager: {"a", secretsManager, "TokenRefused", cloudtest.AWSTokenAudience, ofPod},
		parameterStore: {"a", parameterStore, "TokenRefused", cloudtest.AWSTokenAudience, ofPod},
		secretManager:  {"a", secretManager, "TokenRefused", cloudtest.GCPTokenAudience, ofPod},
		keyVault:       {"a", keyVault, "TokenRefused", cloudtest.AzureTokenAudience, ofPod},
		"kubernetes":   {"a", "kubernetes", "TokenRefused", "elsewhere", kubetest.Audience},
		"core":         {"warehouse", "core", "TokenRefused", "elsewhere", ofPod},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			p := c.storePod(name, name, row.connections)
			p.Attributes["source"] = row.source
			wrong := c.tokens.Pod(name, "reader", "elsewhere").CloudTokens["elsewhere"].Reveal()
			for audience := range p.CloudTokens {
				p.CloudTokens[audience] = wrong
			}
			p = c.withWrongToken(t, name, p)
			err := c.Kubelet.Publish(t.Context(), p)
			says := "a token for audience " + row.audience + " of issuer " + row.issuer
			require.ErrorContains(t, err, says)
			assert.Eventually(t, func() bool { return c.hasEvent(name, row.reason, says) }, testwait.Limit, 20*time.Millisecond, asJSON(t, c.api.Events()))
		})
	}
	c.noNeedle(t)
}

// withWrongToken is the pod with one for another audience for the source of that name, where it is none of a cloud's.
func (c *clouds) withWrongToken(t *testing.T, source string, p stack.Pod) stack.Pod {
	t.Helper()
	switch source {
	case "kubernetes":
		signed, err := c.api.Sign(kubetest.Token{Namespace: p.Namespace, ServiceAccount: p.ServiceAccount, Pod: p.Name, PodUID: p.UID, Audiences: []string{"elsewhere"}, Expires: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		p.CloudTokens[""] = signed.Reveal()
	case "core":
		claims := `{"iss":"` + providertest.Issuer + `","aud":["elsewhere"]}`
		p.Token = "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + cloudNeedle
	}
	return p
}
