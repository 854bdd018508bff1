package deliver

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/deliver/render"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// benched is a Deliverer before a provider in memory, and a volume of ten connections.
func benched(b *testing.B) (*Deliverer, *providertest.Fake, Volume) {
	b.Helper()
	fake := providertest.NewFake()
	var wanted Wanted
	for i := range 10 {
		fake.SetConnection(numbered(i, "secret"))
		wanted.Names = append(wanted.Names, WantedName{ID: numbered(i, "").ID})
	}
	d := New(Config{
		Budget:    budget.New(256*megabyte, nil),
		Providers: map[string]provider.Provider{"core": fake}, VolumeSize: megabyte,
		FetchTimeout: time.Minute, PollEvery: time.Minute, Readers: report.Readers{Log: slog.New(slog.DiscardHandler)},
	})
	return d, fake, Volume{ID: "csi-a", TargetPath: filepath.Join(b.TempDir(), "a"), Mode: 0o440, Format: render.URI, Provider: "core", Connections: wanted,
		Pod: provider.Identity{Namespace: "airflow", ServiceAccount: "etl", Token: secret.New("token")}}
}

func numbered(i int, password string) airflow.Connection {
	connection := warehouse(password)
	connection.ID = fmt.Sprintf("conn_%d", i)
	return connection
}

// BenchmarkPublish is a publish and an unpublish: what delivery itself costs, beside the
// floor that pkg/mount measures.
func BenchmarkPublish(b *testing.B) {
	d, _, spec := benched(b)
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, d.Publish(b.Context(), spec))
		require.NoError(b, d.Unpublish(b.Context(), spec.ID, spec.TargetPath))
	}
}

// BenchmarkRotation is a change of one connection, brought to 110 volumes alike.
func BenchmarkRotation(b *testing.B) {
	d, fake, spec := benched(b)
	var volumes []*volume
	for i := range 110 {
		next := spec
		next.ID, next.TargetPath = fmt.Sprint("csi-", i), fmt.Sprint(spec.TargetPath, i)
		require.NoError(b, d.Publish(b.Context(), next))
		b.Cleanup(func() { require.NoError(b, mount.Unmount(next.TargetPath)) })
		volumes = append(volumes, d.set.find(next.ID))
	}
	for round := 0; b.Loop(); round++ {
		fake.SetConnection(numbered(5, fmt.Sprint("secret", round)))
		var group []task
		for _, v := range volumes {
			group = append(group, d.set.begin(v)...)
		}
		d.deliver(b.Context(), group)
	}
}
