package coreserver_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
)

func TestExistingContractGivesWhatTheTokenMayRead(t *testing.T) {
	c := startCore(t, nil)
	ctx := bearing(within(t), c.token("billing_daily"))

	connections, err := c.agent().GetConnections(ctx, &agentv1.GetConnectionsRequest{})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"warehouse":   "postgres://loader:n33dle@db:5432/main",
		"gcp_default": "google-cloud-platform:///?__extra__=%7B%22project%22%3A%22p%22%7D",
	}, connections.ConnectionUris)

	variables, err := c.agent().GetVariables(ctx, &agentv1.GetVariablesRequest{})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"env": "n33dle-env"}, variables.Variables)

	given := map[string]audit.Decision{}
	for _, record := range c.records() {
		given[record.Entry] = record.Decision
		assert.Equal(t, "acme", record.Tenant)
		assert.Equal(t, "billing_daily", record.DAG)
		assert.Equal(t, "load", record.Task)
		assert.NotEmpty(t, record.Version)
	}
	assert.Equal(t, map[string]audit.Decision{
		"warehouse": audit.Allowed, "gcp_default": audit.Allowed, "env": audit.Allowed, "broken": audit.Invalid,
	}, given)
}

func TestExistingContractPrintsOddURIsWhenTold(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) { config.LegacyURIs = true })
	c.write("connections.json", `{
"bare": {"conn_type": "google_cloud_platform", "extra": {"project": "p"}},
"full": {"conn_type": "azure_data_lake", "host": "h", "port": 1, "login": "l@", "password": "p:", "schema": "s x"},
"login": {"conn_type": "http", "host": "h", "login": "l"},
"type": {"conn_type": "aws"}}`)
	c.server.Reload()
	response, err := c.agent().GetConnections(bearing(within(t), c.token("audit")), &agentv1.GetConnectionsRequest{})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"bare":  "google_cloud_platform:?__extra__=%7B%22project%22%3A%22p%22%7D",
		"full":  "azure_data_lake://l%40:p%3A@h:1/s%20x",
		"login": "http://l@h",
		"type":  "aws:",
	}, response.ConnectionUris)
}

func TestExistingContractRefuses(t *testing.T) {
	c := startCore(t, nil)
	for name, row := range map[string]struct{ header, value, message string }{
		"no token":       {"x", "y", "token refused: there is none"},
		"another scheme": {"authorization", "Basic n33dle", "token refused: there is none"},
		"nothing":        {"authorization", "Bearer ", "token refused: there is none"},
		"no JWT":         {"authorization", "Bearer n33dle", "token refused: it is not a JWT signed by HS256"},
	} {
		ctx := metadata.AppendToOutgoingContext(within(t), row.header, row.value)
		_, err := c.agent().GetVariables(ctx, &agentv1.GetVariablesRequest{})
		assert.Equal(t, codes.Unauthenticated, status.Code(err), name)
		assert.Equal(t, row.message, status.Convert(err).Message(), name)
	}
	for _, record := range c.records() {
		assert.Equal(t, audit.Unauthenticated, record.Decision)
		assert.NotEmpty(t, record.Detail)
	}
	assert.Len(t, c.records(), 4)
}

func TestACoreOffersTheContractsItIsToldTo(t *testing.T) {
	for contract, row := range map[coreserver.Contract]struct{ agent, secrets codes.Code }{
		coreserver.Both:    {codes.OK, codes.OK},
		coreserver.Agent:   {codes.OK, codes.Unimplemented},
		coreserver.Secrets: {codes.Unimplemented, codes.OK},
	} {
		c := startCore(t, func(config *coreserver.Config) { config.Contract = contract })
		ctx := bearing(within(t), c.token("audit"))
		_, err := c.agent().GetVariables(ctx, &agentv1.GetVariablesRequest{})
		assert.Equal(t, row.agent, status.Code(err), contract)
		_, err = c.secrets().Fetch(ctx, &secretsv1.FetchRequest{
			Callers: []*secretsv1.Caller{{Token: c.token("audit")}}, Variables: &secretsv1.Selection{All: true},
		})
		assert.Equal(t, row.secrets, status.Code(err), contract)
	}
}
