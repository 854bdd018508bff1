package coreserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"

	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/logkey"
)

// call is one RPC from its first byte until its answer is with the connection.
type call struct {
	// request names the call in logs and records.
	request string
	method  string
	// intent is what the records of the call begin with, once they say that something is
	// handed out.
	intent *audit.Record
	// release frees what the call was admitted for; nil where it was for nothing.
	release func()
}

type callKey struct{}

// callOf is the call of a handler's context. Whoever is called without gRPC has an empty one.
func callOf(ctx context.Context) *call {
	if known, ok := ctx.Value(callKey{}).(*call); ok {
		return known
	}
	return &call{}
}

// calls follows every call, as a stats.Handler of gRPC, which alone tells of its end.
type calls struct{ *Server }

var _ stats.Handler = calls{}

func (calls) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, callKey{}, &call{request: newRequest(), method: info.FullMethodName})
}

func newRequest() string {
	var name [8]byte
	_, _ = rand.Read(name[:]) // never fails: crypto/rand ends the program first
	return hex.EncodeToString(name[:])
}

// HandleRPC ends a call: what it took is free again, and the outcome of what it was allowed
// is written down. Where that cannot be, the intent stands alone, as after a crash.
func (c calls) HandleRPC(ctx context.Context, event stats.RPCStats) {
	end, ended := event.(*stats.End)
	if !ended {
		return
	}
	call := callOf(ctx)
	if call.release != nil {
		call.release()
	}
	if call.intent == nil {
		return
	}
	record := *call.intent
	record.Time, record.Outcome = c.config.Now().UTC(), audit.Sent
	if end.Error != nil {
		record.Outcome, record.Detail = audit.Failed, status.Code(end.Error).String()
	}
	if err := c.audit.WriteOne(context.WithoutCancel(ctx), record); err != nil {
		c.config.Log.Error("an outcome is not recorded", logkey.Request, record.Request, logkey.Error, err)
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
	if tcp, isTCP := from.Addr.(*net.TCPAddr); isTCP {
		return tcp.IP.String()
	}
	return from.Addr.String()
}
