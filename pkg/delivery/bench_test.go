package delivery

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/delivery/render"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// BenchmarkPublish is a publish and an unpublish of ten connections, from a provider in
// memory: what delivery itself costs, beside the floor that pkg/mount measures.
func BenchmarkPublish(b *testing.B) {
	fake := providertest.NewFake()
	var wanted Wanted
	for i := range 10 {
		connection := warehouse("secret")
		connection.ID = fmt.Sprintf("conn_%d", i)
		fake.SetConnection(connection)
		wanted.Names = append(wanted.Names, WantedName{ID: connection.ID})
	}
	d := New(Config{
		Providers: map[string]provider.Provider{"core": fake}, VolumeSize: megabyte,
		FetchTimeout: time.Minute, PollEvery: time.Minute, Log: slog.New(slog.DiscardHandler),
	})
	spec := Volume{ID: "csi-a", TargetPath: filepath.Join(b.TempDir(), "a"), Mode: 0o440, Format: render.URI, Provider: "core", Connections: wanted,
		Pod: provider.Identity{Namespace: "airflow", ServiceAccount: "etl", Token: secret.New("token")}}
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, d.Publish(b.Context(), spec))
		require.NoError(b, d.Unpublish(b.Context(), spec.ID, spec.TargetPath))
	}
}
