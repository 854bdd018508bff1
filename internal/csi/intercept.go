package csi

import (
	"context"
	"log/slog"
	"path"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/excerpt"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/report"
)

// maxPath is the kernel's limit.
const maxPath = 4096

// callLog writes one line for every call: what it was, for whom, how it ended. It
// reads ids from a request and nothing else; there is no way to log a request.
type callLog struct {
	log      *slog.Logger
	observer Observer
}

// notes is where a handler leaves a remark for its call's line.
type notes struct {
	text string
	// routine is set where nothing happened that anybody needs to read of.
	routine bool
}

type notesKey struct{}

// noteOn adds a remark to the line of the call that ctx belongs to.
func noteOn(ctx context.Context, text string) {
	if n, ok := ctx.Value(notesKey{}).(*notes); ok {
		n.text = text
	}
}

// isRoutine has the line of the call that ctx belongs to be for debugging, if it succeeds.
func isRoutine(ctx context.Context) {
	if n, ok := ctx.Value(notesKey{}).(*notes); ok {
		n.routine = true
	}
}

func (c callLog) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	started := time.Now()
	note := &notes{}
	response, err := c.recovering(context.WithValue(ctx, notesKey{}, note), request, info, handler)

	method, took := path.Base(info.FullMethod), time.Since(started)
	c.count(method, err, note, took)
	attributes := append([]slog.Attr{
		slog.String(logkey.Method, method),
		slog.String(logkey.Code, status.Code(err).String()),
		slog.Duration(logkey.Duration, took),
	}, subject(request)...)
	if note.text != "" {
		attributes = append(attributes, slog.String(logkey.Notice, note.text))
	}
	if err != nil {
		attributes = append(attributes, slog.String(logkey.Error, status.Convert(err).Message()))
		if at, ok := request.(interface{ GetTargetPath() string }); ok {
			attributes = append(attributes, slog.String(logkey.Path, excerpt.Cut(maxPath, at.GetTargetPath())))
		}
	}
	c.log.LogAttrs(ctx, levelOf(method, status.Code(err), note), "call", attributes...)
	return response, err
}

func (c callLog) count(method string, err error, note *notes, took time.Duration) {
	code := status.Code(err).String()
	if note.text != "" {
		code = "kept"
	}
	c.observer.Called(report.Call{Method: method, Code: code, Took: took})
}

// recovering turns a panic into an error, so that one bad call does not take down the
// mounts of every other pod's driver.
func (c callLog) recovering(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
	defer func() {
		if value := recover(); value != nil {
			c.log.LogAttrs(ctx, slog.LevelError, "panic",
				append(logkey.OfPanic(value), slog.String(logkey.Method, path.Base(info.FullMethod)))...)
			response, err = nil, status.Error(codes.Internal, "internal error of the driver; please report it with the driver's log")
		}
	}()
	return handler(ctx, request)
}

// subject is whom a call is about.
func subject(request any) []slog.Attr {
	var attributes []slog.Attr
	if about, ok := request.(interface{ GetVolumeId() string }); ok {
		attributes = append(attributes, slog.String(logkey.VolumeID, excerpt.Of(about.GetVolumeId())))
	}
	if about, ok := request.(interface{ GetVolumeContext() map[string]string }); ok {
		volumeContext := about.GetVolumeContext()
		attributes = append(attributes,
			slog.String(logkey.Namespace, excerpt.Of(volumeContext[podNamespaceKey])),
			slog.String(logkey.Pod, excerpt.Of(volumeContext[podNameKey])),
			slog.String(logkey.PodUID, excerpt.Of(volumeContext[podUIDKey])))
	}
	return attributes
}

// levelOf keeps what kubelet asks all the time out of the way.
func levelOf(method string, code codes.Code, note *notes) slog.Level {
	switch {
	case code == codes.Internal:
		return slog.LevelError
	case code != codes.OK || note.text != "":
		return slog.LevelWarn
	case note.routine:
		return slog.LevelDebug
	case method == "NodePublishVolume" || method == "NodeUnpublishVolume":
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
