package wire

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// ordinary is what a pod with ten connections asks for, and is answered.
func ordinary() (seam.Work, seam.Answer) {
	work := workOf(1)
	work.Connections, work.Variables = call.Selection{}, call.Selection{}
	work.Volumes[0].Pod.Token = secret.New(string(make([]byte, 1000)))
	answer := answerOf()
	for i := range 10 {
		id := fmt.Sprint("conn_", i)
		work.Connections.Names = append(work.Connections.Names, id)
		password := strings.Repeat("p", 100)
		made := delivered(id, "postgres://etl:"+password+"@db.example.com:5432/dwh")
		made.JSON = fmt.Appendf(nil, `{"conn_type": "postgres", "host": "db.example.com", "login": "etl", "password": %q, "port": 5432, "schema": "dwh"}`, password)
		answer.Entries = append(answer.Entries, made)
	}
	return work, answer
}

// BenchmarkFetch is a call of one new volume, beside BenchmarkPingPong: as many bytes there and back on
// a socket that nobody reads anything into.
func BenchmarkFetch(b *testing.B) {
	r := newRig(b)
	work, answer := ordinary()
	r.half.fetch = answering(func(int) seam.Answer { return answer })
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, r.Fetch(b.Context(), work, discard{}))
	}
}

// BenchmarkDecode is what the driver does with that answer between the socket and the volume, and json what
// it takes of that to tell that each value for Airflow is JSON.
func BenchmarkDecode(b *testing.B) {
	work, answer := ordinary()
	var lines writer
	lines.answer(&answer)
	all := []byte(values(answer.Entries...))
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := reader{rest: string(lines.b)}
			made := r.answer("core", len(answer.Entries), all)
			require.NoError(b, askedBy(work).checkAnswer(&made))
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i := range answer.Entries {
				require.True(b, jsontext.Valid(answer.Entries[i].JSON))
			}
		}
	})
}

// BenchmarkFetchOfANode is a call of 110 volumes alike.
func BenchmarkFetchOfANode(b *testing.B) {
	r := newRig(b)
	work, answer := ordinary()
	for len(work.Volumes) < 110 {
		work.Volumes = append(work.Volumes, work.Volumes[0])
	}
	r.half.fetch = answering(func(int) seam.Answer { return answer })
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, r.Fetch(b.Context(), work, discard{}))
	}
}

func BenchmarkPingPong(b *testing.B) {
	listener, err := new(net.ListenConfig).Listen(b.Context(), "unix", filepath.Join(b.TempDir(), "s"))
	require.NoError(b, err)
	defer func() { _ = listener.Close() }()
	const there, back = 1400, 5000
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		in, out := make([]byte, there), make([]byte, back)
		for {
			if _, err := io.ReadFull(conn, in); err != nil {
				return
			}
			if _, err := conn.Write(out); err != nil {
				return
			}
		}
	}()
	conn, err := new(net.Dialer).DialContext(testwait.Context(b), "unix", listener.Addr().String())
	require.NoError(b, err)
	defer func() { _ = conn.Close() }()
	out, in := make([]byte, there), make([]byte, back)
	for b.Loop() {
		_, err := conn.Write(out)
		require.NoError(b, err)
		_, err = io.ReadFull(conn, in)
		require.NoError(b, err)
	}
}

type discard struct{}

func (discard) Told(seam.Told)        {}
func (discard) Place()                {}
func (discard) Take(int, seam.Answer) {}
