package fetch

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/seam/wire"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// twoEnds are those of the seam, as driver and fetcher have them.
type twoEnds struct {
	driver *wire.Driver
	// Fetcher says what there is at the far end, and asked is what is asked there.
	seam.Fetcher
	asked atomic.Pointer[Fetcher]
}

func newTwoEnds(t testing.TB) *twoEnds {
	h := &twoEnds{Fetcher: newRig(nil).Fetcher}
	readers := report.Readers{Log: slog.New(slog.DiscardHandler)}
	h.driver = wire.NewDriver(wire.DriverConfig{Fetcher: uint32(os.Geteuid()), Readers: readers})
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := new(net.ListenConfig).Listen(testwait.Context(t), "unix", socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, h.driver.Serve(ctx, listener)) })
	running.Go(func() {
		assert.NoError(t, wire.NewServer(wire.ServerConfig{Socket: socket, Fetcher: h, Readers: readers}).Run(ctx))
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	testwait.Closed(t, h.driver.Come())
	return h
}

// Fetch implements seam.Fetcher by the one of this moment.
func (h *twoEnds) Fetch(ctx context.Context, work seam.Work, taker seam.Taker) error {
	return h.asked.Load().Fetch(ctx, work, taker)
}

// FuzzWhatIsHandedOnCrossesTheSeamUnchanged has the driver take what the fetcher makes of any connection and
// any variable that there can be, to the byte: what it refuses of an honest fetcher is missing in a pod.
func FuzzWhatIsHandedOnCrossesTheSeamUnchanged(f *testing.F) {
	deep := strings.Repeat("[", jsontext.MaxDepth-3) + strings.Repeat("]", jsontext.MaxDepth-3)
	for _, text := range []string{
		"postgres://etl:p%40ss@db:5432/dwh?__extra__=%7B%22a%22%3A1%7D",
		`{"conn_type":"s3"}`,
		`{"conn_type":"s3","password":"","login":"","host":"","schema":"","extra":""}`,
		`{"conn_type":"s3","extra":{"a":NaN,"b":Infinity,"c":-Infinity}}`,
		`{"conn_type":"s3","extra":"{\"a\":NaN}"}`,
		`{"conn_type":"s3","extra":"just words"}`,
		`{"conn_type":"s3","extra":{"a":"\ud800","b":"\udc00\ud800"}}`,
		`{"conn_type":"s3","extra":"{\"a\":\"\\ud800\"}"}`,
		`{"conn_type":"s3","password":"\ud83d\ude00\u2028\u0085\u007f"}`,
		`{"conn_type":"s3","password":"a\u0000b"}`,
		`{"conn_type":"s3","extra":{"a":1e400,"b":1E-7,"c":-0,"d":123456789012345678901234567890}}`,
		`{"conn_type":"s3","extra":{"a":1,"a":2,"":null}}`,
		`{"conn_type":"s3","extra":{"a":` + deep + `}}`,
		`{"conn_type":"MySQL","host":"H","port":"5432"}`,
		`{"conn_type":"aws","login":"AKIA","password":"x","extra":{"role_arn":"arn"}}`,
		`{"conn_type":"google_cloud_platform","extra":{"keyfile_dict":{"private_key":"k"},"key_path":"/p","project":"x"}}`,
		`{"conn_type":"google_cloud_platform","extra":{"key_secret_name":"s","key_secret_project_id":"p"}}`,
		`{"conn_type":"azure","password":"é"}`,
		`{"uri":"s3://h"}`,
		"http://https://u:p@h:8443/",
		"s3://%44B.Example.COM/%7F%C2%85?a=%FF",
	} {
		for _, id := range []string{"warehouse", "a.b-c_D", "..", "ß", "ıſ", "é\u0301", "ǆ", "a/b", "\xff", ""} {
			f.Add(id, text, id, "value of "+text, id == "warehouse")
		}
	}
	for _, value := range []string{"", "\x00", "\xff", "\u2028\u2029\"\\</script>", "\r\n", strings.Repeat("x", 1<<20), strings.Repeat("\x01", 1<<20), strings.Repeat("é", 1<<19)} {
		f.Add("warehouse", `{"conn_type":"s3","password":"`+value+`"}`, "region", value, true)
	}
	h := newTwoEnds(f)
	f.Fuzz(func(t *testing.T, id, text, key, value string, asJSON bool) {
		r := newRig(nil)
		if connection, err := airflow.Parse(id, text); err == nil {
			r.fake.SetConnection(connection)
		}
		r.fake.SetVariable(key, value)
		h.asked.Store(r.Fetcher)
		asked := work(1)
		asked.Request = call.Request{Connections: call.Selection{Names: []string{id}}, Variables: call.Selection{Names: []string{key}}, MaxBytes: 8 << 20}
		asked.Room, asked.Volumes[0].Shown = asked.MaxBytes, nil
		if asJSON {
			asked.Volumes[0].Format = seam.JSON
		}
		made, taken := &basket{}, &basket{}
		require.NoError(t, r.Fetch(t.Context(), asked, made))
		require.NoError(t, h.driver.Fetch(t.Context(), asked, taken))
		assert.Equal(t, made.told, taken.told)
		require.Len(t, taken.answers, 1)
		require.NoError(t, taken.answers[0].Err)
		assert.Len(t, taken.answers[0].Entries, 2)
		assert.Equal(t, made.answers[0].Entries, taken.answers[0].Entries)
	})
}
