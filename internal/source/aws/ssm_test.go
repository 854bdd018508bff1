package aws_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

func startParameterStore(t *testing.T) (*store.Provider, *held) {
	t.Helper()
	made := cloudtest.StartAWS(t, cloudtest.NewTokens())
	server := &held{made, made.HoldSecrets()}
	opened, err := aws.NewParameterStore(aws.Config{
		Region: "eu-west-1", STSEndpoint: server.URL(), HTTP: server.Client(),
	}, `{"endpoint_url": "`+server.URL()+`"}`)
	require.NoError(t, err)
	served := store.New("aws-ssm", opened, secretmanager.Config{
		CallTimeout: 2 * cloudtest.RequestTimeout,
		Annotations: func(_ context.Context, _, account string) (map[string]string, error) {
			return map[string]string{aws.RoleAnnotation: role + "-" + account}, nil
		},
	})
	t.Cleanup(func() { assert.NoError(t, served.Close()) })
	return served, server
}

func TestParameterStoreKeepsTheContract(t *testing.T) {
	name := func(kind, id string) string { return "/airflow/" + kind + "/" + id }
	cloudtest.RunStoreContract(t, cloudtest.AWSTokenAudience, name, func(t *testing.T) (*store.Provider, *cloudtest.Server) {
		served, server := startParameterStore(t)
		return served, server.Server
	})
}

func TestWhatParameterStoreAnswers(t *testing.T) {
	served, server := startParameterStore(t)
	for code, row := range map[string]struct {
		state string // of the entry; empty where none is told of
		kind  error
		says  string
	}{
		"ParameterNotFound":        {"missing", nil, "there is no /airflow/connections/x"},
		"ParameterVersionNotFound": {"missing", nil, "there is no /airflow/connections/x"},
		"AccessDeniedException":    {"denied", nil, "of one that is encrypted by a key of yours, allow kms:Decrypt"},
		"InvalidKeyId":             {"invalid", nil, "InvalidKeyId"},
		"ValidationException":      {"invalid", nil, "ValidationException"},
		"ThrottlingException":      {"", provider.ErrUnavailable, "ThrottlingException"},
		"ExpiredTokenException":    {"", provider.ErrUnauthenticated, "ExpiredTokenException"},
	} {
		t.Run(code, func(t *testing.T) {
			server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: 400, Code: code}))
			cloudtest.Tells(t, served, podOf(server, code), row.state, row.kind, row.says)
		})
	}
}

func TestParametersAreReadByTens(t *testing.T) {
	served, server := startParameterStore(t)
	server.Set("/airflow/variables/a", "A")
	server.Set("/airflow/variables/b", "B")
	assert.Equal(t, []string{
		"A", "B", "missing: reading the parameter from Parameter Store: ParameterNotFound; there is no /airflow/variables/c",
		"missing: no parameter of Parameter Store has such a name: it has letters, digits and / _ . - alone",
	}, says(t, served, podOf(server, "a"), providertest.Names(nil, []string{"a", "b", "c", "d e"})))
	assert.Equal(t, [2]int{1, 1}, [2]int{server.Calls(cloudtest.Batch), server.Calls(cloudtest.Access)}, "what is invalid in a batch is asked for alone")
}
