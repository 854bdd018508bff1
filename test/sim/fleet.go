package main

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
	// rounds is how often each is told, of which the median counts.
	rounds = 5
	// most is how many times as long as the bare fan-out core may take to tell the last node; the
	// design wants 2.
	most = 4.0
	// fleetBudget is what a node may take of core's memory in a whole fleet, in bytes, core's own
	// included; the design wants 45 KiB.
	fleetBudget = 64 << 10
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

// measureFleet has first a bare TLS server tell so many connections, and then core.
func measureFleet(ctx context.Context, program string, nodes int) (f fleet, err error) {
	f.nodes = nodes
	s, err := start(ctx, program, 1)
	if err != nil {
		return f, err
	}
	defer s.close()
	if f.bare, err = s.tellBarely(ctx, nodes); err != nil {
		return f, fmt.Errorf("the bare fan-out: %w", err)
	}
	fmt.Fprintf(os.Stderr, "sim: a bare fan-out tells %d in %s\n", nodes, milli(f.bare))
	watching, err := connectAll(nodes, func(i int) (told, error) { return s.watchAt(addressOf(i)) })
	defer watching.close()
	if err != nil {
		return f, err
	}
	if f.core, err = watching.rounds(ctx, s.rotate); err != nil {
		return f, err
	}
	fmt.Fprintf(os.Stderr, "sim: core tells %d in %s\n", nodes, milli(f.core))
	f.anonymous, err = s.settledMemory(ctx)
	return f, err
}

// tellBarely runs a program that has a TLS connection for each node and tells them all by writing
// what core writes, and nothing else.
func (s *sim) tellBarely(ctx context.Context, nodes int) (time.Duration, error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	server, err := stack.Run(program, "--bare", s.Dir)
	if err != nil {
		return 0, err
	}
	defer server.Kill()
	address, err := server.WaitFor(ctx, "127.0.0.1:")
	if err != nil {
		return 0, err
	}
	all, err := connectAll(nodes, func(i int) (told, error) { return s.listenAt(address, addressOf(i)) })
	defer all.close()
	if err != nil {
		return 0, err
	}
	return all.rounds(ctx, func() error { return server.Signal(syscall.SIGUSR1) })
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

// rounds is how long it took until the last knew: the median.
func (m many) rounds(ctx context.Context, change func() error) (time.Duration, error) {
	var took []time.Duration
	for range rounds {
		began := time.Now()
		if err := change(); err != nil {
			return 0, err
		}
		last := began
		for _, each := range m {
			select {
			case heard := <-each.news:
				if heard.err != nil {
					return 0, heard.err
				}
				last = slices.MaxFunc([]time.Time{last, heard.at}, time.Time.Compare)
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(time.Minute):
				return 0, errors.New("one was told nothing")
			}
		}
		took = append(took, last.Sub(began))
		if err := wait(ctx, time.Second); err != nil { // until it is quiet again
			return 0, err
		}
	}
	slices.Sort(took)
	return took[len(took)/2], nil
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
