package secretmanager_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/azure"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/gcp"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// clouds are the three clouds' servers and one Resolver for them all.
type clouds struct {
	tokens   *cloudtest.Tokens
	servers  map[string]*cloudtest.Server
	azure    *cloudtest.Azure
	resolver *secretmanager.Resolver
}

func startClouds(t *testing.T) clouds {
	tokens := cloudtest.NewTokens()
	google, amazon, microsoft := cloudtest.StartGCP(t, tokens), cloudtest.StartAWS(t, tokens), cloudtest.StartAzure(t, tokens)
	google.MayImpersonate = func(subject, account string) bool {
		return account == strings.ReplaceAll(subject, "/", "-")+"@p.iam.gserviceaccount.com"
	}
	gcpCloud, err := gcp.New(gcp.Config{
		Audience: cloudtest.GCPAudience, Endpoint: google.Address, RegionalEndpoint: google.RegionalAddress,
		STSURL: google.URL() + "/token", IAMURL: google.URL(), Roots: google.Roots(), HTTP: google.Client(),
	})
	require.NoError(t, err)
	awsCloud := aws.New(aws.Config{Region: "eu-west-1", Endpoint: amazon.URL(), STSEndpoint: amazon.URL(), HTTP: amazon.Client()})
	azureCloud := azure.New(azure.Config{AuthorityHost: microsoft.URL(), VaultEndpoint: microsoft.URL(), HTTP: microsoft.Client()})
	t.Cleanup(func() {
		assert.NoError(t, gcpCloud.Close())
		assert.NoError(t, awsCloud.Close())
		assert.NoError(t, azureCloud.Close())
	})
	return clouds{
		tokens:  tokens,
		azure:   microsoft,
		servers: map[string]*cloudtest.Server{"gcp": google.Server, "aws": amazon.Server, "azure": microsoft.Server},
		resolver: secretmanager.New(secretmanager.Config{
			Clouds:      map[string]secretmanager.Cloud{"gcp": gcpCloud, "aws": awsCloud, "azure": azureCloud},
			Annotations: annotations, LatestFor: time.Millisecond, PinnedFor: time.Minute, CallTimeout: 10 * time.Second,
		}),
	}
}

// annotations give each service account an identity of its own at every cloud.
func annotations(_ context.Context, namespace, serviceAccount string) (map[string]string, error) {
	return map[string]string{
		gcp.ServiceAccountAnnotation: namespace + "-" + serviceAccount + "@p.iam.gserviceaccount.com",
		aws.RoleAnnotation:           role(namespace, serviceAccount),
		azure.ClientAnnotation:       client(namespace, serviceAccount),
		azure.TenantAnnotation:       cloudtest.AzureTenant,
	}, nil
}

func role(namespace, serviceAccount string) string {
	return "arn:aws:iam::123456789012:role/" + namespace + "-" + serviceAccount
}

func client(namespace, serviceAccount string) string {
	return "client-" + namespace + "-" + serviceAccount
}

func (c clouds) pod(namespace, serviceAccount string) provider.Identity {
	return c.tokens.Pod(namespace, serviceAccount, cloudtest.GCPTokenAudience, cloudtest.AWSTokenAudience, cloudtest.AzureTokenAudience)
}

// principal is how a cloud's server knows a pod.
func principal(cloud string, pod provider.Identity) string {
	subject := pod.Namespace + "/" + pod.ServiceAccount
	return map[string]string{
		"gcp":   pod.Namespace + "-" + pod.ServiceAccount + "@p.iam.gserviceaccount.com",
		"aws":   subject + " as " + role(pod.Namespace, pod.ServiceAccount),
		"azure": subject + " as " + client(pod.Namespace, pod.ServiceAccount) + " in " + cloudtest.AzureTenant,
	}[cloud]
}

var references = []entry.Reference{
	{Cloud: "gcp", Name: "s", Location: "project", Version: "7"},
	{Cloud: "aws", Name: "s", Version: "12345678-1234-1234-1234-123456789012"},
	{Cloud: "azure", Name: "s", Location: "https://v.vault.azure.net", Version: "0123456789abcdef0123456789abcdef"},
}

// TestManyPodsOneCall publishes 110 pods of two service accounts at once, each with a
// reference into every cloud.
func TestManyPodsOneCall(t *testing.T) {
	c := startClouds(t)
	var all sync.WaitGroup
	for i := range 110 {
		pod := c.pod("ns", fmt.Sprintf("sa%d", i%2))
		for _, ref := range references {
			all.Go(func() {
				value, err := c.resolver.Resolve(t.Context(), pod, ref)
				assert.NoError(t, err)
				assert.True(t, strings.HasPrefix(value.Reveal(), principal(ref.Cloud, pod)+" reads "), value.Reveal())
			})
		}
	}
	all.Wait()
	for cloud, server := range c.servers {
		assert.Equal(t, 2, server.Calls(cloudtest.Access), cloud)
		assert.Equal(t, 2, server.Calls(cloudtest.Exchange), cloud)
	}
	assert.Equal(t, 2, c.servers["gcp"].Calls(cloudtest.Impersonate))
}

// TestIdentitiesOverTheClouds is the wrong-identity test over the clouds' own
// protocols, with tokens that expire and servers that fail at every step.
func TestIdentitiesOverTheClouds(t *testing.T) {
	c := startClouds(t)
	for _, server := range c.servers {
		server.Break(func(cloudtest.Step) *cloudtest.Fault {
			if rand.N(8) > 0 {
				return nil
			}
			return &cloudtest.Fault{Status: []int{400, 401, 403, 404, 500, 503}[rand.N(6)]}
		})
	}
	var all sync.WaitGroup
	var given, refused atomic.Int32
	for range 8 {
		all.Go(func() {
			for range 25 {
				pod, ref := c.pod([]string{"x", "y"}[rand.N(2)], []string{"x", "y"}[rand.N(2)]), references[rand.N(3)]
				if rand.N(5) == 0 {
					c.tokens.Expire(pod)
				}
				ref.Version = ""
				value, err := c.resolver.Resolve(t.Context(), pod, ref)
				if err == nil {
					assert.True(t, strings.HasPrefix(value.Reveal(), principal(ref.Cloud, pod)+" reads "), value.Reveal())
					given.Add(1)
					continue
				}
				refused.Add(1)
				assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "n33dle")
			}
		})
	}
	all.Wait()
	assert.NotZero(t, given.Load())
	assert.NotZero(t, refused.Load())
}

// TestASilentExchangeIsItsIdentitysAlone has every exchange of tokens accept and stay
// silent, while another identity, which has exchanged its token, goes on; and then answer.
func TestASilentExchangeIsItsIdentitysAlone(t *testing.T) {
	c := startClouds(t)
	for _, ref := range references {
		t.Run(ref.Cloud, func(t *testing.T) {
			t.Parallel()
			server, ref, well, ill := c.servers[ref.Cloud], ref, c.pod("well", "sa"), c.pod("ill", "sa")
			ref.Version = ""
			resolve := func(pod provider.Identity) error {
				_, err := c.resolver.Resolve(t.Context(), pod, ref)
				return err
			}
			require.NoError(t, resolve(well))
			server.Break(cloudtest.At(cloudtest.Exchange, cloudtest.Fault{Silent: true}))
			var failing sync.WaitGroup
			failing.Go(func() {
				for range 5 {
					assert.ErrorIs(t, resolve(ill), provider.ErrUnavailable)
				}
			})
			for range 100 {
				assert.NoError(t, resolve(well), "another identity")
			}
			failing.Wait()

			server.Mend()
			mended := time.Now()
			assert.Eventually(t, func() bool { return resolve(ill) == nil }, 10*time.Second, 100*time.Millisecond)
			t.Log("well again after", time.Since(mended))
		})
	}
}

// TestAMalformedChallengeFailsTheCallAlone has a vault demand a token in words over
// which Azure's SDK panics.
func TestAMalformedChallengeFailsTheCallAlone(t *testing.T) {
	c := startClouds(t)
	read := func(vault, challenge string) error {
		c.azure.Challenge = challenge
		_, err := c.resolver.Resolve(t.Context(), c.pod("ns", "sa"), entry.Reference{Cloud: "azure", Name: "s", Location: vault})
		return err
	}
	require.ErrorIs(t, read("https://a.vault.azure.net", `Bearer authorization="x" resource="https://vault.azure.net"`), provider.ErrUnavailable)
	require.ErrorIs(t, read("https://b.vault.azure.net", `Bearer authorization=""https://x", resource="https://vault.azure.net"`), provider.ErrUnavailable)
	require.NoError(t, read("https://c.vault.azure.net", ""))
}

// TestTheSDKsLogNothing runs the test above in a process whose environment turns on
// every log that the SDKs have.
func TestTheSDKsLogNothing(t *testing.T) {
	command := testwait.Command(t, os.Args[0], "-test.run=^TestIdentitiesOverTheClouds$", "-test.v")
	command.Env = append(os.Environ(), "GOOGLE_SDK_GO_LOGGING_LEVEL=debug", "AZURE_SDK_GO_LOGGING=all",
		"GRPC_GO_LOG_SEVERITY_LEVEL=info", "GRPC_GO_LOG_VERBOSITY_LEVEL=99", "GODEBUG=http2debug=1")
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))
	assert.Contains(t, string(output), "PASS")
	assert.NotContains(t, string(output), "n33dle")
}
