//go:build sim

package sim

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
)

// watcher is a node that costs this machine little more than its TLS connection: it has fetched for
// one pod, and watches.
type watcher struct {
	conn    *tls.Conn
	frames  *http2.Framer
	headers *hpack.Encoder
	written bytes.Buffer
	stream  uint32 // the last
	come    []byte // of a message that is not whole yet
}

// watchAt connects from that address, and returns once core has spoken on the watch.
func (s *sim) watchAt(from net.IP) (told, error) {
	conn, err := s.connect(s.Address(), from, http2.NextProtoTLS)
	if err != nil {
		return nil, err
	}
	w := &watcher{conn: conn, frames: http2.NewFramer(conn, bufio.NewReaderSize(conn, 512))}
	w.frames.SetReuseFrames()
	w.headers = hpack.NewEncoder(&w.written)
	w.headers.SetMaxDynamicTableSize(0)
	if err := w.begin(s.tokens[0]); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return w, nil
}

func (w *watcher) begin(token string) error {
	if _, err := w.conn.Write([]byte(http2.ClientPreface)); err != nil {
		return err
	}
	var fetched secretsv1.FetchResponse
	var first secretsv1.WatchResponse
	err := errors.Join(w.frames.WriteSettings(), w.call("Fetch", &secretsv1.FetchRequest{
		Callers: []*secretsv1.Caller{{Token: token}}, Connections: &secretsv1.Selection{Names: []string{"conn_0"}},
	}))
	if err == nil {
		err = w.receive(&fetched)
	}
	if err == nil {
		err = w.call("Watch", &secretsv1.WatchRequest{Scoped: true, Tickets: fetched.GetTickets()})
	}
	if err == nil {
		err = w.receive(&first)
	}
	if err == nil && len(first.GetEntries()) == 0 {
		err = errors.New("core tells the node of nothing")
	}
	return err
}

// call begins a call on a stream of its own.
func (w *watcher) call(method string, request proto.Message) error {
	if w.stream++; w.stream > 1 {
		w.stream++
	}
	w.written.Reset()
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "https"}, {":path", "/leoflow.secrets.v1.SecretsService/" + method}, {":authority", "core"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := w.headers.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return err
		}
	}
	message, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	framed := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	return errors.Join(w.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: w.stream, BlockFragment: w.written.Bytes(), EndHeaders: true}),
		w.frames.WriteData(w.stream, true, framed))
}

// receive reads the next message of the stream, and answers what the connection asks meanwhile.
func (w *watcher) receive(into proto.Message) error {
	for {
		if len(w.come) >= 5 {
			if size := int(binary.BigEndian.Uint32(w.come[1:5])); len(w.come) >= 5+size {
				message := w.come[5 : 5+size]
				err := proto.Unmarshal(message, into)
				w.come = append(w.come[:0], w.come[5+size:]...)
				return err
			}
		}
		frame, err := w.frames.ReadFrame()
		if err != nil {
			return err
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = w.frames.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				err = w.frames.WritePing(true, frame.Data)
			}
		case *http2.DataFrame:
			if frame.StreamID == w.stream {
				w.come = append(w.come, frame.Data()...)
			}
		case *http2.GoAwayFrame:
			err = fmt.Errorf("core hangs up: %s", frame.DebugData())
		}
		if err != nil {
			return err
		}
	}
}

func (w *watcher) next() (time.Time, error) {
	for {
		var message secretsv1.WatchResponse
		if err := w.receive(&message); err != nil {
			return time.Time{}, err
		}
		if len(message.GetEntries()) > 0 {
			return time.Now(), nil
		}
	}
}

func (w *watcher) close() { _ = w.conn.Close() }
