package core_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// One Fetch of ten connections over TLS on loopback, beside the floor: the same
// messages over gRPC alone, unread.
func BenchmarkFetch(b *testing.B) {
	response := &secretsv1.FetchResponse{Results: []*secretsv1.CallerResult{{}}}
	var request provider.Request
	for i := range 10 {
		id := fmt.Sprintf("connection_%d", i)
		request.Connections.Names = append(request.Connections.Names, id)
		response.Connections = append(response.Connections, &secretsv1.Connection{
			Id: id, Version: strings.Repeat("v", 32), ConnType: "postgres", Host: new("db.example.com"), Schema: new("sales"),
			Login: new("etl"), Password: new("correct horse battery staple"), Port: new(uint32(5432)),
			Extra: new(`{"sslmode": "require", "keepalives_idle": 30}`),
		})
		response.Results[0].Connections = append(response.Results[0].Connections, uint32(i))
	}
	s := &server{fetch: func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) { return response, nil }}
	config := s.start(b)
	caller := pod()
	caller.Token = secret.New(strings.Repeat("t", 900)) // as long as a service-account token

	b.Run("floor", func(b *testing.B) {
		conn := bareConnection(b, config.Address, config.CAFile)
		message := &secretsv1.FetchRequest{
			Callers:     []*secretsv1.Caller{{Token: caller.Token.Reveal()}},
			Connections: &secretsv1.Selection{Names: request.Connections.Names},
		}
		client := secretsv1.NewSecretsServiceClient(conn)
		for b.Loop() {
			_, err := client.Fetch(b.Context(), message)
			require.NoError(b, err)
		}
	})
	b.Run("client", func(b *testing.B) {
		client := newClient(b, config)
		for b.Loop() {
			_, err := client.Fetch(b.Context(), caller, request)
			require.NoError(b, err)
		}
	})
}

func bareConnection(b *testing.B, address, caFile string) *grpc.ClientConn {
	pem, err := os.ReadFile(caFile)
	require.NoError(b, err)
	roots := x509.NewCertPool()
	require.True(b, roots.AppendCertsFromPEM(pem))
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})))
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}
