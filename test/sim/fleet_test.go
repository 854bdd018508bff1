//go:build sim

package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	// rounds is how often each is told, in turn, of which the median counts.
	rounds = 9
	// most is how many times as long as the bare fan-out core may take to tell the last node.
	most = 2.0
	// fleetBudget is what a node may take of core's memory in a whole fleet, in bytes, core's own
	// included.
	fleetBudget = 45 << 10
)

// fleet is what the largest cluster costs core.
type fleet struct {
	nodes      int
	anonymous  int64
	bare, core time.Duration // until the last knew, the median of the rounds
}

func (f fleet) each() float64 { return float64(f.anonymous) / float64(f.nodes) }

func (f fleet) ratio() float64 { return f.core.Seconds() / f.bare.Seconds() }

// addressOf spreads sources over 127/8, of which core knows each as a peer of its own.
func addressOf(i int) net.IP { return net.IPv4(127, byte(1+i>>16), byte(i>>8), byte(i)) }

// measureFleet has a bare TLS server tell so many connections, and core as many watches, in turn:
// what else the machine does meanwhile is the same for both.
func measureFleet(ctx context.Context, program string, nodes int) (f fleet, err error) {
	f.nodes = nodes
	s, err := start(ctx, program, 1)
	if err != nil {
		return f, err
	}
	defer s.close()
	server, listening, err := s.serveBarely(ctx, nodes)
	if err != nil {
		return f, fmt.Errorf("the bare fan-out: %w", err)
	}
	defer server.Kill()
	defer listening.close()
	watching, err := connectAll(nodes, func(i int) (told, error) { return s.watchAt(addressOf(i)) })
	defer watching.close()
	if err != nil {
		return f, err
	}
	var bare, core []time.Duration
	for range rounds {
		if bare, err = listening.round(ctx, bare, func() error { return server.Signal(syscall.SIGUSR1) }); err != nil {
			return f, fmt.Errorf("the bare fan-out: %w", err)
		}
		if core, err = watching.round(ctx, core, s.rotate); err != nil {
			return f, err
		}
	}
	f.bare, f.core = median(bare), median(core)
	fmt.Fprintf(os.Stderr, "sim: a bare fan-out tells %d in %s, core in %s\n", nodes, milli(f.bare), milli(f.core))
	listening.close()
	server.Kill()
	f.anonymous, err = s.settledMemory(ctx)
	return f, err
}

// serveBarely runs a program that has a TLS connection for each node and tells them all by writing
// what core writes, and nothing else.
func (s *sim) serveBarely(ctx context.Context, nodes int) (*stack.Process, many, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	server, err := stack.Run(program, "--bare", s.Dir)
	if err != nil {
		return nil, nil, err
	}
	address, err := server.WaitFor(ctx, "127.0.0.1:")
	if err != nil {
		server.Kill()
		return nil, nil, err
	}
	all, err := connectAll(nodes, func(i int) (told, error) { return s.listenAt(address, addressOf(i)) })
	if err != nil {
		all.close()
		server.Kill()
	}
	return server, all, err
}

// told is a connection whose other end tells of a change.
type told interface {
	// next returns once it has told.
	next() (time.Time, error)
	close()
}

// pumped is one that is listened to all the time.
type pumped struct {
	told
	news chan news
}

type news struct {
	at  time.Time
	err error
}

func pump(from told) pumped {
	p := pumped{from, make(chan news, 2*rounds)}
	go func() {
		for {
			at, err := from.next()
			p.news <- news{at, err}
			if err != nil {
				return
			}
		}
	}()
	return p
}

type many []pumped

func (m many) close() {
	for _, each := range m {
		each.close()
	}
}

// connectAll makes so many, some at a time.
func connectAll(count int, connect func(i int) (told, error)) (many, error) {
	const handshakes = 16
	made, errs := make(many, count), make([]error, count)
	slots := make(chan struct{}, handshakes)
	var all sync.WaitGroup
	for i := range count {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			one, err := connect(i)
			if errs[i] = err; err == nil {
				made[i] = pump(one)
			}
		})
	}
	all.Wait()
	return slices.DeleteFunc(made, func(each pumped) bool { return each.told == nil }), errors.Join(errs...)
}

// round adds how long it took until the last knew.
func (m many) round(ctx context.Context, took []time.Duration, change func() error) ([]time.Duration, error) {
	began := time.Now()
	if err := change(); err != nil {
		return nil, err
	}
	last := began
	for _, each := range m {
		select {
		case heard := <-each.news:
			if heard.err != nil {
				return nil, heard.err
			}
			last = slices.MaxFunc([]time.Time{last, heard.at}, time.Time.Compare)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Minute):
			return nil, errors.New("one was told nothing")
		}
	}
	return append(took, last.Sub(began)), wait(ctx, time.Second) // until it is quiet again
}

func median(of []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(of))[len(of)/2]
}

// err is what of a fleet is beyond its budget.
func (f fleet) err() error {
	switch {
	case f.each() > fleetBudget:
		return fmt.Errorf("a node takes %.1f KiB of core's memory; %d are the budget", f.each()/1024, fleetBudget>>10)
	case f.ratio() > most:
		return fmt.Errorf("core tells the last node after %.1f times as long as a bare fan-out; %.0f are the budget", f.ratio(), most)
	}
	return nil
}

func (f fleet) String() string {
	return fmt.Sprintf(`| nodes | core's memory | for each | a bare fan-out told the last | core told the last | times as long |
|---|---|---|---|---|---|
| %d | %.0f MiB | %.1f KiB | %s | %s | %.1f |
`, f.nodes, float64(f.anonymous)/(1<<20), f.each()/1024, milli(f.bare), milli(f.core), f.ratio())
}
