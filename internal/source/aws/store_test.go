package aws_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

// held is a server with its secrets.
type held struct {
	*cloudtest.AWS
	*cloudtest.Held
}

func startStore(t *testing.T, kwargs string) (*store.Provider, *held) {
	t.Helper()
	made := cloudtest.StartAWS(t, cloudtest.NewTokens())
	server := &held{made, made.HoldSecrets()}
	server.MayAssume = func(subject, _ string) bool { return subject != "team/stranger" }
	config := aws.Config{
		Region: "eu-west-1", Endpoint: server.URL(), STSEndpoint: server.URL(), HTTP: server.Client(),
		PodIdentity: true, Agent: server.StartAgent(t),
	}
	opened, err := aws.NewStore(config, kwargs)
	require.NoError(t, err)
	served := store.New("aws-secretsmanager", opened, secretmanager.Config{
		CallTimeout: 2 * cloudtest.RequestTimeout,
		Annotations: func(_ context.Context, _, account string) (map[string]string, error) {
			if strings.HasPrefix(account, "eks-") {
				return map[string]string{}, nil
			}
			return map[string]string{aws.RoleAnnotation: role + "-" + account}, nil
		},
	})
	t.Cleanup(func() { assert.NoError(t, served.Close()) })
	return served, server
}

func TestStoreKeepsTheContract(t *testing.T) {
	name := func(kind, id string) string { return "airflow/" + kind + "/" + id }
	cloudtest.RunStoreContract(t, cloudtest.AWSTokenAudience, name, func(t *testing.T) (*store.Provider, *cloudtest.Server) {
		served, server := startStore(t, "")
		return served, server.Server
	})
}

func podOf(server *held, account string) provider.Identity {
	return server.Tokens.Pod("team", account, cloudtest.AWSTokenAudience, cloudtest.PodIdentityAudience)
}

func says(t *testing.T, served *store.Provider, pod provider.Identity, request provider.Request) (found []string) {
	t.Helper()
	entries, err := served.Fetch(t.Context(), pod, request)
	require.NoError(t, err)
	for _, one := range entries {
		switch {
		case one.State != entry.Delivered:
			found = append(found, string(one.State)+": "+one.Notices[0].Message)
		case one.Kind == entry.Variable:
			found = append(found, one.Text.Reveal())
		default:
			found = append(found, string(one.Connection.JSON()))
		}
	}
	return found
}

func TestOneCallBringsTwentySecrets(t *testing.T) {
	served, server := startStore(t, "")
	var ids []string
	for _, id := range strings.Split("abcdefghijklmnopqrst", "") {
		ids = append(ids, id)
		server.Set("airflow/connections/"+id, "http://"+id)
	}
	for range 2 {
		says(t, served, podOf(server, "a"), providertest.Names(ids, nil))
	}
	assert.Equal(t, [3]int{1, 1, 0}, [3]int{server.Calls(cloudtest.Exchange), server.Calls(cloudtest.Batch), server.Calls(cloudtest.Access)})
}

func TestAPolicyThatWasMadeForAirflowIsEnough(t *testing.T) {
	served, server := startStore(t, "")
	server.Set("airflow/connections/a", "http://a")
	server.Set("airflow/connections/b", "http://b")
	server.Break(cloudtest.At(cloudtest.Batch, cloudtest.Fault{Status: 400, Code: "AccessDeniedException"}))
	assert.Len(t, says(t, served, podOf(server, "a"), providertest.Names([]string{"a", "b"}, nil)), 2)
	says(t, served, podOf(server, "a"), providertest.Names([]string{"c", "d"}, nil))
	assert.Equal(t, [2]int{1, 4}, [2]int{server.Calls(cloudtest.Batch), server.Calls(cloudtest.Access)})
}

func TestDeniedIsToldFromMissing(t *testing.T) {
	served, server := startStore(t, "")
	server.Deny("airflow/variables/denied")
	server.Set("airflow/variables/binary", "binary:n33dle")
	for name, ids := range map[string][]string{"batch": {"denied", "missing", "a b", "binary"}, "single": {"denied"}} {
		t.Run(name, func(t *testing.T) {
			found := says(t, served, podOf(server, name), providertest.Names(nil, ids))
			assert.Equal(t, "denied: reading the secret from Secrets Manager: AccessDeniedException; allow secretsmanager:GetSecretValue on "+
				"arn:aws:secretsmanager:REGION:ACCOUNT:secret:airflow/variables/denied-?????? and on the same without -??????, without which AWS says so of a secret that does not exist, too; "+
				"of one that is encrypted by a key of yours, allow kms:Decrypt", found[0])
			if len(ids) > 1 {
				assert.Equal(t, []string{
					"missing: reading the secret from Secrets Manager: ResourceNotFoundException; there is no airflow/variables/missing, or it is marked for deletion",
					"missing: no secret of Secrets Manager has such a name: it has letters, digits and / _ + = . @ - alone",
					"invalid: the secret is binary; store text",
				}, found[1:])
			}
		})
	}
}

// Throttling is one identity's, and an exchange that is denied is no entry's.
func TestWhatIsTheIdentitysOwn(t *testing.T) {
	served, server := startStore(t, "")
	_, err := served.Fetch(t.Context(), podOf(server, "stranger"), providertest.Names([]string{"a"}, nil))
	require.ErrorIs(t, err, provider.ErrDenied)

	server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: 400, Code: "ThrottlingException"}))
	_, err = served.Fetch(t.Context(), podOf(server, "a"), providertest.Names([]string{"a"}, nil))
	require.ErrorIs(t, err, provider.ErrUnavailable)
	assert.True(t, provider.IsOfCall(err))
}

func TestAllTakesTheRightToList(t *testing.T) {
	served, server := startStore(t, "")
	server.Break(cloudtest.At(cloudtest.List, cloudtest.Fault{Status: 400, Code: "AccessDeniedException"}))
	_, err := served.Fetch(t.Context(), podOf(server, "a"), providertest.Everything())
	require.ErrorIs(t, err, provider.ErrDenied)
	require.ErrorContains(t, err, "secretsmanager:ListSecrets")
}

func TestPodIdentity(t *testing.T) {
	served, server := startStore(t, "")
	server.Associations = map[string]string{"team/eks-a": role}
	server.Hold(func(principal, _, _ string) (string, error) { return principal, nil })
	request := providertest.Names(nil, []string{"x"})
	assert.Equal(t, []string{"team/eks-a as " + role}, says(t, served, podOf(server, "eks-a"), request))
	assert.Zero(t, server.Calls(cloudtest.Exchange), "STS is not asked")
	assert.Equal(t, []string{"team/irsa as " + role + "-irsa"}, says(t, served, podOf(server, "irsa"), request), "an annotation comes first")

	_, err := served.Fetch(t.Context(), podOf(server, "eks-without"), request)
	require.ErrorIs(t, err, provider.ErrDenied, "a service account without an association")
	require.ErrorContains(t, err, "the agent of EKS Pod Identity")
	expired := podOf(server, "eks-b")
	server.Tokens.Expire(expired)
	_, err = served.Fetch(t.Context(), expired, request)
	require.ErrorIs(t, err, provider.ErrUnauthenticated)
	server.Break(cloudtest.At(cloudtest.Agent, cloudtest.Fault{Status: 500}))
	_, err = served.Fetch(t.Context(), podOf(server, "eks-c"), request)
	require.ErrorIs(t, err, provider.ErrUnavailable)
	assert.NotContains(t, err.Error(), "n33dle")
}

// The agent is on the node: a token goes to no other address in the clear.
func TestTheAgentIsOfTheNode(t *testing.T) {
	for _, agent := range []string{"http://192.0.2.1", "http://agent.example.com"} {
		cloud := aws.New(aws.Config{Region: "eu-west-1", PodIdentity: true, Agent: agent, HTTP: secretmanager.NewHTTPClient(nil, 0)})
		session, err := cloud.Open(secretmanager.Subject{Pod: cloudtest.NewTokens().Pod("ns", "a", cloudtest.PodIdentityAudience)})
		require.NoError(t, err)
		_, err = session.Access(t.Context(), reference)
		require.ErrorContains(t, err, "over plain HTTP a token would go in the clear")
		require.NoError(t, cloud.Close())
	}
}

func TestWhatKwargsMaySay(t *testing.T) {
	cloudtest.CheckKwargs(t, map[string]string{
		`{"connections_prefix": "a", "connections_lookup_pattern": "^x", "variables_prefix": null, "config_prefix": "c", "sep": "-", "full_url_mode": false, "extra_conn_words": {"user": ["u"]}, "profile_name": null}`: "",
		`{"verify": true, "use_ssl": true}`:          "",
		`{"verify": false}`:                          "verify cannot be used here",
		`{"profile_name": "p"}`:                      "profile_name cannot be used here: every pod reads under the role of its own service account",
		`{"aws_secret_access_key": "n33dle"}`:        "aws_secret_access_key cannot be used here",
		`{"role_arn": "arn:aws:iam::1:role/x"}`:      "role_arn cannot be used here",
		`{"region_name": "s3"}`:                      "region_name names no region",
		`{"endpoint_url": "http://localstack:4566"}`: "endpoint_url must be an https URL",
		`{"extra_conn_words": {"n": ["x"]}}`:         `extra_conn_words has words for "n", which is no field`,
		`{"connections_lookup_pattern": "(?!x)"}`:    "connections_lookup_pattern is no pattern that this driver has",
		`{"conections_prefix": "x"}`:                 "conections_prefix is not known to this driver, remove it",
		`{"sep": 1}`:                                 "sep must be text",
	}, func(kwargs string) error {
		_, err := aws.NewStore(aws.Config{Region: "eu-west-1", HTTP: secretmanager.NewHTTPClient(nil, 0)}, kwargs)
		return err
	})
}

// An AWS that lies about its list takes nothing from pods. An empty token is none.
func TestAListThatLies(t *testing.T) {
	for body, want := range map[string]error{
		`{}`:   provider.ErrUnavailable,
		`null`: provider.ErrUnavailable,
		`{"SecretList": [], "NextToken": "again"}`: provider.ErrUnavailable,
		`{"SecretList": [], "NextToken": ""}`:      nil,
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			served, server := startStore(t, "{}")
			server.Break(cloudtest.At(cloudtest.List, cloudtest.Fault{Status: 200, Body: body}))
			_, err := served.Fetch(t.Context(), podOf(server, "a"), providertest.Everything())
			require.ErrorIs(t, err, want)
		})
	}
}
