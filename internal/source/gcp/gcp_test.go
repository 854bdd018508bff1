package gcp_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/gcp"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) (*gcp.Cloud, *cloudtest.GCP) {
	server := cloudtest.StartGCP(t, cloudtest.NewTokens())
	cloud, err := gcp.New(gcp.Config{
		Audience: cloudtest.GCPAudience, Endpoint: server.Address, RegionalEndpoint: server.RegionalAddress,
		STSURL: server.URL() + "/token", IAMURL: server.URL(), Roots: server.Roots(), HTTP: server.Client(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cloud.Close()) })
	return cloud, server
}

func subject(server *cloudtest.GCP, account string) secretmanager.Subject {
	return secretmanager.Subject{Pod: server.Tokens.Pod("ns", account, cloudtest.GCPTokenAudience), Location: "project"}
}

var reference = entry.Reference{Cloud: "gcp", Name: "secret", Location: "project", Version: "7"}

func TestContract(t *testing.T) {
	cloudtest.RunContract(t, func(t *testing.T) cloudtest.Case {
		cloud, server := start(t)
		return cloudtest.Case{
			Cloud: cloud, Server: server.Server, Reference: reference,
			Subject:   func(account string) secretmanager.Subject { return subject(server, account) },
			Principal: func(account string) string { return "ns/" + account },
			Exchanges: []cloudtest.Step{cloudtest.Exchange},
		}
	})
}

func TestContractOfARegion(t *testing.T) {
	cloudtest.RunContract(t, func(t *testing.T) cloudtest.Case {
		cloud, server := start(t)
		regional := reference
		regional.Region = cloudtest.Region
		return cloudtest.Case{
			Cloud: cloud, Server: server.Server, Reference: regional,
			Subject:   func(account string) secretmanager.Subject { return subject(server, account) },
			Principal: func(account string) string { return "ns/" + account },
			Exchanges: []cloudtest.Step{cloudtest.Exchange},
		}
	})
}

func TestContractWithImpersonation(t *testing.T) {
	cloudtest.RunContract(t, func(t *testing.T) cloudtest.Case {
		cloud, server := start(t)
		server.MayImpersonate = func(subject, account string) bool { return subject == "ns/"+account[:1] }
		return cloudtest.Case{
			Cloud: cloud, Server: server.Server, Reference: reference,
			Subject: func(account string) secretmanager.Subject {
				made := subject(server, account)
				made.Annotations = map[string]string{gcp.ServiceAccountAnnotation: account + "@p.iam.gserviceaccount.com"}
				return made
			},
			Principal: func(account string) string { return account + "@p.iam.gserviceaccount.com" },
			Exchanges: []cloudtest.Step{cloudtest.Exchange, cloudtest.Impersonate},
		}
	})
}

func TestImpersonationIsGooglesToAllow(t *testing.T) {
	cloud, server := start(t)
	made := subject(server, "a")
	made.Annotations = map[string]string{gcp.ServiceAccountAnnotation: "admin@p.iam.gserviceaccount.com"}

	session, err := cloud.Open(made)
	require.NoError(t, err)
	_, err = session.Access(t.Context(), reference)

	require.ErrorIs(t, err, provider.ErrDenied)
	assert.Zero(t, server.Calls(cloudtest.Access), "it does not go on as anybody else")
}

func TestMalformedAnnotation(t *testing.T) {
	cloud, server := start(t)
	for _, value := range []string{"", "robot", "a@b/../../c", "a@p.iam.gserviceaccount.com?x"} {
		made := subject(server, "a")
		made.Annotations = map[string]string{gcp.ServiceAccountAnnotation: value}
		_, err := cloud.Open(made)
		require.ErrorContains(t, err, "annotation "+gcp.ServiceAccountAnnotation+" of service account ns/a")
	}
}

func TestLatestIsTheDefaultVersion(t *testing.T) {
	cloud, server := start(t)
	server.Hold(func(_, name, version string) (string, error) { return name + " at " + version, nil })
	session, err := cloud.Open(subject(server, "a"))
	require.NoError(t, err)

	value, err := session.Access(t.Context(), entry.Reference{Name: "s", Location: "p"})

	require.NoError(t, err)
	assert.Equal(t, "projects/p/secrets/s at latest", value.Reveal())
}

func TestThrottling(t *testing.T) {
	for _, status := range []int{429, 503} {
		cloud, server := start(t)
		server.Break(cloudtest.At(cloudtest.Exchange, cloudtest.Fault{Status: status, Header: map[string]string{"Retry-After": "7"}}))
		session, err := cloud.Open(subject(server, "a"))
		require.NoError(t, err)

		_, err = session.Access(t.Context(), reference)

		var failure *secretmanager.Failure
		require.ErrorAs(t, err, &failure)
		assert.True(t, failure.Throttled, status)
		assert.Equal(t, 7*time.Second, failure.RetryAfter, status)
	}
}

func TestTokenAudience(t *testing.T) {
	assert.Equal(t, "p.svc.id.goog", gcp.TokenAudience("identitynamespace:p.svc.id.goog:https://container.googleapis.com/v1/projects/p"))
	assert.Equal(t, cloudtest.GCPTokenAudience, gcp.TokenAudience(cloudtest.GCPAudience))
	_, err := gcp.New(gcp.Config{})
	assert.ErrorContains(t, err, "audience")
}
