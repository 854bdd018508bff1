package aws_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const role = "arn:aws:iam::123456789012:role/reader"

func start(t *testing.T) (*aws.Cloud, *cloudtest.AWS) {
	server := cloudtest.StartAWS(t, cloudtest.NewTokens())
	cloud := aws.New(aws.Config{Region: "eu-west-1", Endpoint: server.URL(), STSEndpoint: server.URL(), HTTP: server.Client()})
	t.Cleanup(func() { assert.NoError(t, cloud.Close()) })
	return cloud, server
}

func subject(server *cloudtest.AWS, account string) secretmanager.Subject {
	return secretmanager.Subject{
		Pod:         server.Tokens.Pod("ns", account, cloudtest.AWSTokenAudience),
		Annotations: map[string]string{aws.RoleAnnotation: role + "-" + account},
	}
}

var reference = entry.Reference{Cloud: "aws", Name: "secret"}

func TestContract(t *testing.T) {
	cloudtest.RunContract(t, func(t *testing.T) cloudtest.Case {
		cloud, server := start(t)
		return cloudtest.Case{
			Cloud: cloud, Server: server.Server, Reference: reference,
			Subject:   func(account string) secretmanager.Subject { return subject(server, account) },
			Principal: func(account string) string { return "ns/" + account + " as " + role + "-" + account },
			Exchanges: []cloudtest.Step{cloudtest.Exchange},
		}
	})
}

// TestErrorCodes are the answers whose status says less than their code.
func TestErrorCodes(t *testing.T) {
	for _, row := range []struct {
		step      cloudtest.Step
		status    int
		code      string
		kind      error
		throttled bool
	}{
		{cloudtest.Exchange, 400, "ExpiredTokenException", provider.ErrUnauthenticated, false},
		{cloudtest.Exchange, 403, "IDPRejectedClaim", provider.ErrUnauthenticated, false},
		{cloudtest.Exchange, 403, "AccessDenied", provider.ErrDenied, false},
		{cloudtest.Exchange, 400, "Throttling", provider.ErrUnavailable, true},
		{cloudtest.Exchange, 400, "IDPCommunicationError", provider.ErrUnavailable, false},
		{cloudtest.Access, 400, "ResourceNotFoundException", provider.ErrMissing, false},
		{cloudtest.Access, 400, "InvalidRequestException", nil, false}, // unless its message says that it is deleted
		{cloudtest.Access, 400, "AccessDeniedException", provider.ErrDenied, false},
		{cloudtest.Access, 400, "ExpiredTokenException", provider.ErrUnauthenticated, false},
		{cloudtest.Access, 400, "ThrottlingException", provider.ErrUnavailable, true},
		{cloudtest.Access, 500, "InternalServiceError", provider.ErrUnavailable, false},
		{cloudtest.Access, 400, "DecryptionFailure", nil, false},
	} {
		t.Run(row.code, func(t *testing.T) {
			cloud, server := start(t)
			server.Break(cloudtest.At(row.step, cloudtest.Fault{Status: row.status, Code: row.code}))
			session, err := cloud.Open(subject(server, "a"))
			require.NoError(t, err)

			_, err = session.Access(t.Context(), reference)

			var failure *secretmanager.Failure
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, row.kind, failure.Kind)
			assert.Equal(t, row.throttled, failure.Throttled)
			assert.Contains(t, err.Error(), row.code)
			assert.NotContains(t, err.Error(), "n33dle")
		})
	}
}

func TestRole(t *testing.T) {
	cloud, server := start(t)
	server.Hold(func(principal, _, _ string) (string, error) { return principal, nil })

	t.Run("the connection's comes first", func(t *testing.T) {
		made := subject(server, "a")
		made.Role = role + "-of-the-connection"
		session, err := cloud.Open(made)
		require.NoError(t, err)
		value, err := session.Access(t.Context(), reference)
		require.NoError(t, err)
		assert.Equal(t, "ns/a as "+role+"-of-the-connection", value.Reveal())
	})
	t.Run("none", func(t *testing.T) {
		made := subject(server, "a")
		made.Annotations = nil
		_, err := cloud.Open(made)
		require.ErrorContains(t, err, "annotate service account ns/a with "+aws.RoleAnnotation)
	})
	t.Run("malformed", func(t *testing.T) {
		made := subject(server, "a")
		made.Annotations = map[string]string{aws.RoleAnnotation: "reader"}
		_, err := cloud.Open(made)
		require.ErrorContains(t, err, "annotation "+aws.RoleAnnotation+" of service account ns/a")
	})
	t.Run("not for this pod", func(t *testing.T) {
		server.MayAssume = func(string, string) bool { return false }
		session, err := cloud.Open(subject(server, "a"))
		require.NoError(t, err)
		before := server.Calls(cloudtest.Access)
		_, err = session.Access(t.Context(), reference)
		require.ErrorIs(t, err, provider.ErrDenied)
		assert.Equal(t, before, server.Calls(cloudtest.Access), "it does not go on as anybody else")
	})
}

func TestVersions(t *testing.T) {
	cloud, server := start(t)
	server.Hold(func(_, _, version string) (string, error) { return "at " + version, nil })
	session, err := cloud.Open(subject(server, "a"))
	require.NoError(t, err)
	for _, version := range []string{"", "AWSPREVIOUS", "12345678-1234-1234-1234-123456789012"} {
		value, err := session.Access(t.Context(), entry.Reference{Name: "s", Version: version})
		require.NoError(t, err)
		assert.Equal(t, "at "+version, value.Reveal())
	}
}

func TestBinarySecret(t *testing.T) {
	cloud, server := start(t)
	server.Hold(func(string, string, string) (string, error) { return "binary:n33dle", nil })
	session, err := cloud.Open(subject(server, "a"))
	require.NoError(t, err)

	_, err = session.Access(t.Context(), reference)

	require.ErrorContains(t, err, "binary")
	assert.NotContains(t, err.Error(), "n33dle")
}

// An answer that was cut off says nothing of the secret.
func TestAnEmptyAnswerIsNone(t *testing.T) {
	cloud, server := start(t)
	server.Hold(func(string, string, string) (string, error) { return "", nil })
	session, err := cloud.Open(subject(server, "a"))
	require.NoError(t, err)

	_, err = session.Access(t.Context(), reference)

	require.ErrorIs(t, err, provider.ErrUnavailable)
}

func TestANodeWithoutARegionNeedsOneInTheReference(t *testing.T) {
	_, err := aws.New(aws.Config{HTTP: secretmanager.NewHTTPClient(nil, 0)}).Open(secretmanager.Subject{Pod: cloudtest.NewTokens().Pod("ns", "sa", cloudtest.AWSTokenAudience), Role: role})
	assert.ErrorContains(t, err, "set key_secret_region")
}
