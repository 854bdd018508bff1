package coreserver

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
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

// logCall writes a line for a call: what went well at debug level, since the audit log has it,
// what the caller did wrong at info, what core did at warn. Anybody may have core fail calls, so of
// those that fail it writes some and counts the others.
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
		attributes = append(attributes, slog.String(logkey.Error, brief(status.Convert(err).Message())))
	}
	s.logFew(ctx, level, "call", attributes...)
}

// logLost tells that a call's records could not be written.
func (s *Server) logLost(ctx context.Context, message, request string, err error) {
	s.logFew(ctx, slog.LevelError, message, slog.String(logkey.Request, request), slog.Any(logkey.Error, err))
}

// logFew writes a line that anybody may be the cause of, unless there are too many above debug level.
func (s *Server) logFew(ctx context.Context, level slog.Level, message string, attributes ...slog.Attr) {
	if !s.config.Log.Enabled(ctx, level) {
		return
	}
	if level > slog.LevelDebug {
		untold, isFew := s.failures.take(peerHost(ctx), time.Now())
		if !isFew {
			return
		}
		if untold > 0 {
			attributes = append(attributes, slog.Int(logkey.Untold, untold))
		}
	}
	s.config.Log.LogAttrs(ctx, level, message, attributes...)
}

// longest is how much of a message the log has: it may name what the caller has sent.
const longest = 256

func brief(message string) string {
	if len(message) <= longest {
		return message
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(message[:longest], ""), len(message))
}

const (
	// span is how long lines are counted, and of one peer, or of one file, and in all so many written within it.
	span              = 10 * time.Second
	ofOnePeer, ofThem = 50, 200
)

// few lets some lines through, and counts the others. The zero value is ready.
type few struct {
	mu     sync.Mutex
	began  time.Time
	of     map[string]int // by peer
	all    int
	untold int
}

// take tells whether one more line of peer, or of a file, is to be written, and how many were not since the last one
// that was.
func (f *few) take(peer string, now time.Time) (untold int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil || now.Sub(f.began) >= span {
		f.began, f.of, f.all = now, map[string]int{}, 0
	}
	if f.all >= ofThem || f.of[peer] >= ofOnePeer {
		f.untold++
		return 0, false
	}
	f.all++
	f.of[peer]++
	untold, f.untold = f.untold, 0
	return untold, true
}

func peerAddress(ctx context.Context) string {
	if from, known := peer.FromContext(ctx); known {
		return from.Addr.String()
	}
	return ""
}
