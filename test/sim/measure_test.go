//go:build sim

package sim

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// figures are what one number of nodes costs core.
type figures struct {
	nodes int
	// anonymous memory of core.
	anonymous int64
	// idle is core's CPU for one node and heartbeat, notice for one node and change,
	// fetch for one node's fetch.
	idle, notice, fetch time.Duration
	// toldMedian and toldLast are from the change of the file to a node's knowing,
	// fetchedLast to the last node's having fetched.
	toldMedian, toldLast, fetchedLast time.Duration
}

func (s *sim) measureAll(ctx context.Context, first, doublings int) ([]figures, error) {
	var all []figures
	for n := first; len(all) <= doublings; n *= 2 {
		if err := s.grow(ctx, n); err != nil {
			return nil, err
		}
		measured, err := s.measure(ctx)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "sim: %d nodes, %.1f MiB\n", n, float64(measured.anonymous)/(1<<20))
		all = append(all, measured)
	}
	return all, nil
}

func (s *sim) measure(ctx context.Context) (f figures, err error) {
	f.nodes = len(s.nodes)
	each := func(spent time.Duration) time.Duration { return spent / time.Duration(f.nodes) }
	if f.anonymous, err = s.settledMemory(ctx); err != nil {
		return f, err
	}
	spent, err := s.spent(func() error { return wait(ctx, 2*heartbeat) })
	if err != nil {
		return f, err
	}
	f.idle = each(spent / 2)
	for _, fetch := range []bool{false, true} {
		var delays []time.Duration
		spent, err := s.spent(func() error {
			began := time.Now()
			if err := s.rotate(); err != nil {
				return err
			}
			delays, err = s.told(ctx, began, fetch)
			return err
		})
		if err != nil {
			return f, err
		}
		slices.Sort(delays)
		if fetch {
			f.fetch, f.fetchedLast = each(spent)-f.notice, delays[len(delays)-1]
		} else {
			f.notice, f.toldMedian, f.toldLast = each(spent), delays[len(delays)/2], delays[len(delays)-1]
		}
	}
	return f, nil
}

// settledMemory waits until core's memory has not shrunk for longer than an idle Go
// program takes to collect garbage twice: every two minutes, and what one collection
// finds is given back after the next. What handshakes and answers left behind would else
// be taken for what streams need.
func (s *sim) settledMemory(ctx context.Context) (now int64, err error) {
	const look, still = 5 * time.Second, 250 * time.Second
	held, since := int64(math.MaxInt64), time.Now()
	for time.Since(since) < still {
		if now, err = s.memory(); err != nil {
			return 0, err
		}
		if now < held-held/50 {
			held, since = now, time.Now()
		}
		if err := wait(ctx, look); err != nil {
			return 0, err
		}
	}
	return now, nil
}

func (s *sim) memory() (int64, error) {
	text, err := os.ReadFile("/proc/" + s.Core.ID() + "/smaps_rollup")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[0] == "Anonymous:" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no anonymous memory", s.Core.ID())
}

// spent is the CPU that core takes while do runs.
func (s *sim) spent(do func() error) (time.Duration, error) {
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := s.cpu()
	return after - before, err
}

// cpu reads user and system time, which the kernel counts in hundredths of a second.
func (s *sim) cpu() (time.Duration, error) {
	text, err := os.ReadFile("/proc/" + s.Core.ID() + "/stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

func wait(ctx context.Context, length time.Duration) error {
	select {
	case <-time.After(length):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
