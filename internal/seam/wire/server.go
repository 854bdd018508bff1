package wire

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
)

// ServerConfig is what a Server is made of.
type ServerConfig struct {
	// Socket is where the driver listens.
	Socket  string
	Fetcher seam.Fetcher
	// Sink takes what the driver reports.
	Sink Sink
	report.Readers
}

const (
	// leastIdle is how many connections wait for a call at least.
	leastIdle = 4
	// dialAgain is how soon the driver is called again that did not answer, or refused.
	dialAgain, refusedAgain = 100 * time.Millisecond, 2 * time.Second
)

// Server is the fetcher's end of the seam: it calls the driver, and answers what that asks. Make it
// with NewServer.
type Server struct {
	ServerConfig
	guard           report.Guard
	build, instance string

	mu sync.Mutex
	// idle are the connections that wait for a call, all those that stand.
	idle, all int
	// reports is the connection that the driver reports on; nil while there is none.
	reports *reports
	// fewer has something in it when too few connections may be idle.
	fewer chan struct{}
}

// NewServer returns a Server that has called nobody yet.
func NewServer(config ServerConfig) *Server {
	config.Readers = report.Complete(config.Readers)
	if config.Sink == nil {
		config.Sink = unread{}
	}
	s := &Server{ServerConfig: config, build: build(), instance: rand.Text(), fewer: make(chan struct{}, 1)}
	s.guard = report.Guard{Readers: &s.Readers}
	return s
}

// Run keeps connections to the driver until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	told, isFirst := "", true
	for ctx.Err() == nil {
		if !s.wants() {
			select {
			case <-s.fewer:
			case <-ctx.Done():
			}
			continue
		}
		l, err := s.dial(ctx)
		if err != nil {
			if err.Error() != told && ctx.Err() == nil {
				s.Log.Warn("cannot reach the driver; trying again", logkey.Path, s.Socket, logkey.Error, err)
			}
			told = err.Error()
			pause.Wait(ctx, s.pauseAfter(err))
			continue
		}
		if told != "" || isFirst {
			s.Log.Info("the driver is there", logkey.Path, s.Socket)
			told, isFirst = "", false
		}
		s.count(1, 1)
		serving.Go(func() {
			_ = s.guard.Run(report.Volume{}, func() error { s.serve(ctx, l); return nil }) // it is logged
		})
	}
	return nil
}

func (*Server) pauseAfter(err error) time.Duration {
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		return refusedAgain
	}
	return dialAgain
}

func (s *Server) wants() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idle < leastIdle && s.all < mostConnections
}

// count takes in that there are so many more connections, idle ones and in all.
func (s *Server) count(idle, all int) {
	s.mu.Lock()
	s.idle += idle
	s.all += all
	few := s.idle < leastIdle
	s.mu.Unlock()
	if few {
		select {
		case s.fewer <- struct{}{}:
		default:
		}
	}
}

// dial calls the driver and says who calls.
func (s *Server) dial(ctx context.Context) (*line, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", s.Socket)
	if err != nil {
		return nil, err
	}
	l := &line{conn: conn.(*net.UnixConn)}
	_ = conn.SetDeadline(time.Now().Add(handshakeFor))
	if err := s.handshake(l); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, conn.SetDeadline(time.Time{})
}

func (s *Server) handshake(l *line) error {
	made := hello{build: s.build, instance: s.instance}
	for _, name := range s.Fetcher.Sources() {
		source, _ := s.Fetcher.Source(name)
		made.sources = append(made.sources, named{name, source})
	}
	l.start(frameHello).hello(made)
	if err := l.send(); err != nil {
		return err
	}
	if err := l.readHeader(); err != nil {
		return fmt.Errorf("the driver hung up: %w", err)
	}
	text, err := l.readShort(mostHandshake)
	if err != nil {
		return err
	}
	switch r := (&reader{rest: text}); {
	case l.kind() == frameRefusal:
		return &refusal{r.text()}
	case l.kind() != frameWelcome || r.text() != s.build:
		return fmt.Errorf("%w: the driver did not say welcome", errLied)
	}
	return nil
}

// refusal is that the driver wants no such fetcher.
type refusal struct{ why string }

func (r *refusal) Error() string { return "the driver refused: " + r.why }

// serve answers one call after another.
func (s *Server) serve(ctx context.Context, l *line) {
	stop := l.endWith(ctx)
	isIdle := true
	defer func() { // though a call ends in a panic
		stop()
		_ = l.conn.Close()
		if isIdle {
			s.count(-1, -1)
		} else {
			s.count(0, -1)
		}
	}()
	for {
		if l.readHeader() != nil {
			return
		}
		isIdle = false
		s.count(-1, 0)
		if err := s.answerApart(ctx, l); err != nil {
			if !isHangUp(err) && !errors.Is(err, report.ErrPanic) { // which is logged
				s.Log.Warn("a call of the driver failed", logkey.Error, err)
			}
			return
		}
		isIdle = true
		s.count(1, 0)
	}
}

// answerApart has a call answered on a stack of its own. That of a store's client is deep, and the
// goroutine that waits for the next call would keep it.
func (s *Server) answerApart(ctx context.Context, l *line) (err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = s.guard.Run(report.Volume{}, func() error { return s.answer(ctx, l) })
	}()
	<-ended
	return err
}

// answer answers the call whose header was read.
func (s *Server) answer(ctx context.Context, l *line) error {
	kind := l.kind()
	if kind == frameReport {
		return s.takeReports(ctx, l)
	}
	text, err := l.readShort(mostWork)
	if err != nil {
		return err
	}
	r := &reader{rest: text}
	switch kind {
	case frameFetch:
		return s.fetch(ctx, l, r)
	case frameWatch:
		return s.watch(ctx, l, r.text())
	}
	return fmt.Errorf("%w: a frame %q for a call", errLied, kind)
}
