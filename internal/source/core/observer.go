package core

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Observer is told what happens on the line to core, for whoever counts it. Its methods
// return at once and are safe for concurrent use.
type Observer interface {
	// Called tells of one call that ended, by gRPC's name of the code: one of seventeen.
	Called(code string)
	// WatchHeard tells of a message or heartbeat of Watch.
	WatchHeard()
	// WatchInterrupted tells that a stream of Watch ended, or could not be opened.
	WatchInterrupted()
}

// silent is the Observer of those who count nothing.
type silent struct{}

func (silent) Called(string)     {}
func (silent) WatchHeard()       {}
func (silent) WatchInterrupted() {}

// observing tells of every call once it ended, with whatever retries it took.
func observing(observer Observer) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		err := invoke(ctx, method, request, reply, conn, options...)
		observer.Called(codeName(err))
		return err
	}
}

// codeName knows the codes that gRPC has. A server may answer with any other number, of
// which there would be no end.
func codeName(err error) string {
	code := status.Code(err)
	if code > codes.Unauthenticated {
		code = codes.Unknown
	}
	return code.String()
}
