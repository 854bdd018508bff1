package deliver

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/fetch"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
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
	readers := report.Readers{Log: slog.New(slog.DiscardHandler)}
	d := New(Config{
		Budget:     budget.New(256*megabyte, nil),
		Fetcher:    fetch.New(fetch.Config{Providers: map[string]provider.Provider{"core": fake}, FetchTimeout: time.Minute, Readers: readers}),
		VolumeSize: megabyte, PollEvery: time.Minute, Readers: readers,
	})
	return d, fake, Volume{ID: "csi-a", TargetPath: filepath.Join(b.TempDir(), "a"), Mode: 0o440, Format: seam.URI, Provider: "core", Connections: wanted,
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

// BenchmarkBudgetOfAPublish is what the node's budget does in a publish and an unpublish, beside
// 110 volumes, with the two questions to the kernel. Beside BenchmarkPublish of the same run it
// says what the budget costs.
func BenchmarkBudgetOfAPublish(b *testing.B) {
	d, _, spec := benched(b)
	for i := range 110 {
		d.Budget.Hold(fmt.Sprint("other-", i), 60<<10)
	}
	require.NoError(b, d.Publish(b.Context(), spec))
	defer func() { require.NoError(b, d.Unpublish(b.Context(), spec.ID, spec.TargetPath)) }()
	root, err := os.Open(spec.TargetPath)
	require.NoError(b, err)
	defer func() { require.NoError(b, root.Close()) }()
	const target, namespace, size = "target", "airflow", 60 << 10
	b.ReportAllocs()
	for b.Loop() {
		d.Budget.Claim(target, namespace)
		require.NoError(b, d.Budget.Admits(namespace))
		turn, err := d.Budget.Enter(b.Context(), time.Minute, namespace, budget.Weight(64<<10))
		require.NoError(b, err)
		turn.Resize(budget.Weight(4 << 10))
		for range 2 {
			var usage unix.Statfs_t // as mount asks, of the volume that it has open
			require.NoError(b, unix.Fstatfs(int(root.Fd()), &usage))
		}
		_, err = d.Budget.Take(target, namespace, size, 0, true)
		require.NoError(b, err)
		d.Budget.Hold(target, size)
		turn.Leave()
		d.Budget.Hold(target, 0)
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
