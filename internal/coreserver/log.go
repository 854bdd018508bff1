package coreserver

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

func (s *Server) logUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	began := time.Now()
	response, err := func() (response any, err error) {
		defer s.contain(ctx, info.FullMethod, &err)
		return handle(ctx, request)
	}()
	if err == nil {
		callOf(ctx).answered()
	}
	s.logCall(ctx, info.FullMethod, began, err)
	return response, err
}

func (s *Server) logStream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	began := time.Now()
	// What a handler takes of a stack would stay this goroutine's for as long as the stream: it has
	// one of its own, which goes with it.
	handled := make(chan error, 1)
	go func() {
		var err error
		defer func() { handled <- err }()
		defer s.contain(stream.Context(), info.FullMethod, &err)
		err = handle(service, stream)
	}()
	err := <-handled
	if stays := callOf(stream.Context()).stays; stays != nil {
		err = stays(err)
	}
	s.logCall(stream.Context(), info.FullMethod, began, err)
	return err
}

// contain, deferred, has a panic end the call or the task it is in and nothing else: one
// caller's request must not take core from all others.
func (s *Server) contain(ctx context.Context, method string, err *error) {
	if value := recover(); value != nil {
		s.config.Observer.Panicked()
		s.config.Log.LogAttrs(ctx, slog.LevelError, "panic", append(logkey.OfPanic(value), slog.String(logkey.Method, method))...)
		*err = status.Error(codes.Internal, "internal error of core; please report it with core's log")
	}
}

// logCall writes one line for each call: what went well at debug level, since the
// audit log has it, what the caller did wrong at info, what core did at warn.
func (s *Server) logCall(ctx context.Context, method string, began time.Time, err error) {
	s.config.Observer.Called(method, status.Code(err).String(), time.Since(began))
	level := slog.LevelInfo
	switch status.Code(err) {
	case codes.OK, codes.Canceled:
		level = slog.LevelDebug
	case codes.Unknown, codes.Internal, codes.Unavailable, codes.DataLoss:
		level = slog.LevelWarn
	}
	attributes := []slog.Attr{
		slog.String(logkey.Method, method), slog.String(logkey.Code, status.Code(err).String()),
		slog.Duration(logkey.Duration, time.Since(began)), slog.String(logkey.Address, peerAddress(ctx)),
		slog.String(logkey.Request, callOf(ctx).request),
	}
	if err != nil {
		attributes = append(attributes, slog.String(logkey.Error, status.Convert(err).Message()))
	}
	s.config.Log.LogAttrs(ctx, level, "call", attributes...)
}

func peerAddress(ctx context.Context) string {
	if from, known := peer.FromContext(ctx); known {
		return from.Addr.String()
	}
	return ""
}
