package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/turn"
)

// DriverConfig is what a Driver is made of.
type DriverConfig struct {
	// Fetcher is the user id that the fetcher runs under. Nobody else is listened to.
	Fetcher uint32
	// Returned is called whenever a fetcher has come, the first one too. It may be nil.
	Returned func()
	report.Readers
}

const (
	// mostConnections bounds the connections of a fetcher, above which the next is closed.
	mostConnections = 1024
	// mostGreeted bounds those that have not said who they are, above which the next is closed. A
	// fetcher has one at a time.
	mostGreeted = 64
	// connectionsOfSecond bounds the connections that begin within a second, newcomersOfSecond those of a
	// fetcher that was not there before: each is logged, and has all looked at that waits.
	connectionsOfSecond, newcomersOfSecond = 256, 32
	// acceptAgain is how soon it is listened again after an error.
	acceptAgain = 100 * time.Millisecond
	// mostIdle are those that are kept for the next calls: who is closed here is seen to be there.
	mostIdle = 24
)

// Driver is the driver's end of the seam. Make it with NewDriver.
type Driver struct {
	DriverConfig
	guard report.Guard
	build string
	// connections and newcomers are the turns of those that come.
	connections, newcomers turn.Rate

	mu sync.Mutex
	// instance is the fetcher that came last, sources what it has. They stay when it has gone.
	instance string
	sources  map[string]seam.Source
	names    []string
	// idle are connections that wait for a call, the last used last.
	idle []*line
	// open are all connections.
	open map[*line]struct{}
	// waiting are the calls that wait for a connection, the first first.
	waiting []chan *line
	// refused is why somebody was refused last, refusedAt when that was logged.
	refused   string
	refusedAt time.Time
	// come is closed once a fetcher has come.
	come chan struct{}
}

var _ seam.Fetcher = (*Driver)(nil)

// NewDriver returns a Driver that no fetcher has called yet.
func NewDriver(config DriverConfig) *Driver {
	config.Readers = report.Complete(config.Readers)
	d := &Driver{
		DriverConfig: config, build: build(), open: map[*line]struct{}{}, come: make(chan struct{}),
		connections: turn.NewRate(connectionsOfSecond, time.Second), newcomers: turn.NewRate(newcomersOfSecond, time.Second),
	}
	d.guard = report.Guard{Readers: &d.Readers}
	return d
}

// Serve lets fetchers in until ctx ends.
func (d *Driver) Serve(ctx context.Context, listener net.Listener) error {
	var greeting sync.WaitGroup
	hands := make(chan struct{}, mostGreeted)
	defer d.hangUp("")
	defer greeting.Wait()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close(); d.hangUp("") })
	defer stop()
	for {
		_ = d.connections.Wait(ctx, "") // whose end closes the listener
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		switch {
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listening for the fetcher: %w", err)
		case err != nil: // such as for want of file descriptors, of which there may be some again
			pause.Wait(ctx, acceptAgain)
			continue
		}
		select {
		case hands <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		greeting.Go(func() {
			defer func() { <-hands }()
			_ = d.guard.Run(report.Volume{}, func() error { d.greet(ctx, conn.(*net.UnixConn)); return nil }) // it is logged
		})
	}
}

// greet lets a connection in, or says why not and closes it.
func (d *Driver) greet(ctx context.Context, conn *net.UnixConn) {
	l := &line{conn: conn}
	stop := l.endWith(ctx)
	_ = conn.SetDeadline(time.Now().Add(handshakeFor))
	found, err := d.handshake(l)
	stop()
	if err == nil && !d.isThere(found.instance) {
		if err = d.newcomers.Wait(ctx, ""); err == nil {
			err = l.stands() // or one that has ended would end the connections of the next
		}
	}
	if err != nil {
		_ = conn.Close()
		if ctx.Err() == nil {
			d.tellRefused(err)
		}
		return
	}
	_ = conn.SetDeadline(time.Time{})
	l.instance = found.instance
	d.admit(l, found)
}

// isThere reports whether a process is the fetcher that came last.
func (d *Driver) isThere(instance string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.instance == instance
}

// tellRefused logs a refusal, unless it is that of the time before or comes within a second of it: who is
// refused calls again.
func (d *Driver) tellRefused(err error) {
	d.mu.Lock()
	isNews := d.refused != err.Error() && time.Since(d.refusedAt) > time.Second
	if isNews {
		d.refused, d.refusedAt = err.Error(), time.Now()
	}
	d.mu.Unlock()
	if isNews {
		d.Log.Warn("refused a fetcher", logkey.Error, err)
	}
}

func (d *Driver) handshake(l *line) (hello, error) {
	uid, err := peerOf(l.conn)
	if err != nil {
		return hello{}, err
	}
	if uid != d.Fetcher {
		return hello{}, fmt.Errorf("the user %d called, and the fetcher is the user %d", uid, d.Fetcher)
	}
	if err := l.readHeader(); err != nil {
		return hello{}, fmt.Errorf("it did not say who it is: %w", err)
	}
	if l.kind() != frameHello {
		return hello{}, fmt.Errorf("%w: it did not say who it is", errLied)
	}
	text, err := l.readShort(mostHandshake)
	if err != nil {
		return hello{}, err
	}
	said := reader{rest: text}
	found, err := said.hello(d.build)
	if err != nil {
		l.start(frameRefusal).text(err.Error())
		return hello{}, errors.Join(err, l.send())
	}
	l.start(frameWelcome).text(d.build)
	return found, l.send()
}

// admit takes in a connection. The first of another process ends those of the one before.
func (d *Driver) admit(l *line, from hello) {
	d.mu.Lock()
	isNew := from.instance != d.instance
	var former []*line
	if isNew {
		for one := range d.open {
			former = append(former, one)
		}
		d.idle, d.open = nil, map[*line]struct{}{}
		d.instance, d.sources, d.names = from.instance, map[string]seam.Source{}, nil
		for _, one := range from.sources {
			d.sources[one.name] = one.Source
			d.names = append(d.names, one.name)
		}
		select {
		case <-d.come:
		default:
			close(d.come)
		}
	}
	if len(d.open) >= mostConnections {
		d.mu.Unlock()
		_ = l.conn.Close()
		return
	}
	d.open[l] = struct{}{}
	d.mu.Unlock()
	for _, one := range former {
		_ = one.conn.Close()
	}
	d.release(l)
	if isNew {
		d.Log.Info("the fetcher is there", logkey.Sources, len(from.sources))
		if d.Returned != nil {
			d.Returned()
		}
	}
}

// release has a connection wait for the next call.
func (d *Driver) release(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, stands := d.open[l]; !stands {
		return
	}
	switch {
	case len(d.waiting) > 0:
		next := d.waiting[0]
		d.waiting = d.waiting[1:]
		next <- l // which has room for one
	case len(d.idle) >= mostIdle:
		delete(d.open, l)
		_ = l.conn.Close()
	default:
		d.idle = append(d.idle, l)
	}
}

// drop ends a connection.
func (d *Driver) drop(l *line) {
	d.mu.Lock()
	delete(d.open, l)
	d.mu.Unlock()
	_ = l.conn.Close()
}

// hangUp ends all connections of a process; with no name, of all.
func (d *Driver) hangUp(instance string) {
	d.mu.Lock()
	var ended []*line
	for l := range d.open {
		if instance == "" || l.instance == instance {
			ended = append(ended, l)
			delete(d.open, l)
		}
	}
	d.idle = slices.DeleteFunc(d.idle, func(l *line) bool { return instance == "" || l.instance == instance })
	d.mu.Unlock()
	for _, l := range ended {
		_ = l.conn.Close()
	}
}

// take is a connection for a call, which waits for one so long at most.
func (d *Driver) take(ctx context.Context, until time.Time) (*line, error) {
	d.mu.Lock()
	if last := len(d.idle) - 1; last >= 0 {
		l := d.idle[last]
		d.idle = d.idle[:last]
		d.mu.Unlock()
		return l, nil
	}
	next := make(chan *line, 1)
	d.waiting = append(d.waiting, next)
	d.mu.Unlock()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case l := <-next:
		return l, nil
	case <-timer.C:
		return nil, d.leave(next, seam.ErrGone)
	case <-ctx.Done():
		return nil, d.leave(next, ctx.Err())
	}
}

// leave takes a call out of those that wait.
func (d *Driver) leave(next chan *line, why error) error {
	d.mu.Lock()
	for i, one := range d.waiting {
		if one == next {
			d.waiting = append(d.waiting[:i], d.waiting[i+1:]...)
			break
		}
	}
	d.mu.Unlock()
	select {
	case l := <-next: // meanwhile
		d.release(l)
	default:
	}
	return why
}

// Come is closed once a fetcher has come.
func (d *Driver) Come() <-chan struct{} { return d.come }

// IsThere implements seam.Fetcher.
func (d *Driver) IsThere() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open) > 0
}

// Sources implements seam.Fetcher. There are none before a fetcher has come.
func (d *Driver) Sources() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names
}

// Source implements seam.Fetcher.
func (d *Driver) Source(name string) (seam.Source, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	source, found := d.sources[name]
	return source, found
}
