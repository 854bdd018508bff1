package coreserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
)

// small is an answer that the kernel takes at once, whether or not anybody reads it.
const small = 64 << 10

// call is one RPC from its first byte until its answer is with the connection.
type call struct {
	// request names the call in logs and records.
	request string
	method  string
	over    *gate.Conn // nil where it came over none that is counted
	// intent is what the records of the call begin with, once they say that something is
	// handed out.
	intent *audit.Record
	// waits is how long the request is, of a call that is not admitted yet: it is on its way in.
	waits int
	// release frees what the call was admitted for; nil where it was for nothing.
	release func()
	// size is that of the answer at least, and at where the connection will be once it has
	// taken all of that.
	size int
	at   int64
	// stays is for a stream that goes on after its handler has returned: it is given the handler's
	// error, and returns when the stream ends.
	stays func(err error) error
}

type callKey struct{}

// callOf is the call of a handler's context. Whoever is called without gRPC has an empty one.
func callOf(ctx context.Context) *call {
	if known, ok := ctx.Value(callKey{}).(*call); ok {
		return known
	}
	return &call{}
}

// isWatch tells the one call that stays.
func (c *call) isWatch() bool { return strings.HasSuffix(c.method, "/Watch") }

// arrived says that the request is reckoned with elsewhere, or gone.
func (c *call) arrived() {
	if c.over != nil {
		c.over.Received(c.waits)
		c.waits = 0
	}
}

// answered says that the answer is about to be written.
func (c *call) answered() {
	if c.over != nil && c.size > small {
		c.at = c.over.Promise(c.size)
	}
}

// letCall refuses a stranger's call that is one too many, before anything is made of it.
func letCall(ctx context.Context, _ *tap.Info) (context.Context, error) {
	if over := gate.Of(ctx); over != nil && !over.Call() {
		go func() { _ = over.Close() }()
		return nil, status.Error(codes.Unavailable, "too many calls without a good token")
	}
	return ctx, nil
}

// calls follows every call, as a stats.Handler of gRPC, which alone tells of its end.
type calls struct{ *Server }

var _ stats.Handler = calls{}

func (c calls) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	made := &call{request: newRequest(), method: info.FullMethodName, over: gate.Of(ctx)}
	ctx = context.WithValue(ctx, callKey{}, made)
	if made.over != nil && made.over.IsStranger() {
		c.introduce(ctx)
	}
	return ctx
}

// introduce looks at the token in a stranger's headers before more of the call is read.
func (s *Server) introduce(ctx context.Context) {
	var err error
	defer s.contain(ctx, "introduce", &err)
	if token := bearer(ctx); token.Len() > 0 {
		_, _ = s.identify(ctx, token)
	}
}

func newRequest() string {
	var name [8]byte
	_, _ = rand.Read(name[:]) // never fails: crypto/rand ends the program first
	return hex.EncodeToString(name[:])
}

// HandleRPC reckons with what comes in until it is there, and with what goes out until it
// is gone.
func (c calls) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if _, is := event.(*stats.OutPayload); is {
		return // of which a change brings thousands
	}
	call := callOf(ctx)
	counted := call.over != nil && !call.isWatch()
	switch event := event.(type) {
	case *stats.Begin:
		if counted {
			call.over.Begin()
		}
	case *stats.InPayload:
		if counted {
			call.waits += event.WireLength
			call.over.Arrived(event.WireLength)
		}
	case *stats.End:
		if counted {
			call.arrived()
			call.over.End()
		}
		c.end(context.WithoutCancel(ctx), call, event.Error)
	}
}

// end frees what a call took once its answer has left, and writes the outcome of what it
// was allowed. Where that cannot be, the intent stands alone, as after a crash.
func (c calls) end(ctx context.Context, call *call, err error) {
	if err == nil && call.at > 0 {
		call.over.WhenSent(call.at, func(sent bool) {
			if !sent {
				err = status.Error(codes.Canceled, "")
			}
			c.settle(ctx, call, err)
		})
		return
	}
	c.settle(ctx, call, err)
}

func (c calls) settle(ctx context.Context, call *call, err error) {
	if call.release != nil {
		call.release()
	}
	if call.intent == nil {
		return
	}
	record := *call.intent
	record.Time, record.Outcome = c.config.Now().UTC(), audit.Sent
	if err != nil {
		record.Outcome, record.Detail = audit.Failed, status.Code(err).String()
	}
	if err := c.audit.WriteOne(ctx, record); err != nil {
		c.logLost(ctx, "an outcome is not recorded", record.Request, err)
	}
}

func (calls) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (calls) HandleConn(context.Context, stats.ConnStats) {}

// peerHost is the peer without its port: connections of one host are one peer's.
func peerHost(ctx context.Context) string {
	from, known := peer.FromContext(ctx)
	if !known {
		return ""
	}
	return gate.Host(from.Addr)
}
