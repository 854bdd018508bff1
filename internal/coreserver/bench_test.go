package coreserver_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
)

// One Fetch of ten connections for a task instance over TLS on loopback, beside the floor: the same call of a service that core does not have.
func BenchmarkFetch(b *testing.B) {
	c := startCluster(b, func(config *coreserver.Config) { config.CallerAuditRate = math.MaxInt32 }) // one token asks for all
	var connections strings.Builder
	request := &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Connections: &secretsv1.Selection{}}
	for i := range 10 {
		fmt.Fprintf(&connections, `"connection_%d": {"conn_type": "postgres", "host": "db.example.com", "schema": "sales", "login": "etl", "password": "correct horse", "port": 5432, "extra": {"sslmode": "require"}},`, i)
		request.Connections.Names = append(request.Connections.Names, fmt.Sprintf("connection_%d", i))
	}
	c.write("connections.json", "{"+strings.TrimSuffix(connections.String(), ",")+"}")
	c.server.Reload()
	conn := c.dial(c.authority.pair("node-1"))
	client := secretsv1.NewSecretsServiceClient(conn)
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			require.Error(b, conn.Invoke(b.Context(), "/none/None", request, &secretsv1.FetchResponse{}))
		}
	})
	b.Run("task", func(b *testing.B) {
		for b.Loop() {
			response, err := client.Fetch(b.Context(), request)
			require.NoError(b, err)
			require.Len(b, response.Connections, 10)
		}
	})
}
