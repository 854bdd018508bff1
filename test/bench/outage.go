package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/test/stack"
)

// watched is how long the driver's use of the machine is watched, with core and without.
const watched = 40 * time.Second

// outage compares what 110 volumes cost the driver while core is there and idle with
// what they cost while core is away for good.
func (b *bench) outage(ctx context.Context) error {
	return b.on(ctx, podsPerNode, func(s *stack.Stack, all []stack.Pod) error { return b.outageOf(ctx, s, all) })
}

func (b *bench) outageOf(ctx context.Context, s *stack.Stack, all []stack.Pod) error {
	// The same calls of kubelet in both.
	watch := func() (use, error) {
		for _, pod := range all {
			if err := s.Kubelet.Publish(ctx, pod); err != nil {
				return use{}, err
			}
		}
		return driverUse(ctx, s)
	}
	if _, err := watch(); err != nil { // until it has what it needs
		return err
	}
	idle, err := watch()
	if err != nil {
		return err
	}
	s.Core.Kill()
	s.Core = nil
	away, err := watch()
	if err != nil {
		return err
	}
	const tolerance = 1.1
	grown := float64(away.anonymous) / float64(idle.anonymous)
	b.line("driver's anonymous memory, core away, 110 volumes", mib(away.anonymous), mib(idle.anonymous)+" idle", fmt.Sprintf("%.2f×", grown), "≤ 1.10×", grown <= tolerance, grown)
	busier := away.busy - idle.busy
	b.line("driver's CPU, core away, 110 volumes", fmt.Sprintf("%.2f %%", 100*away.busy), fmt.Sprintf("%.2f %% idle", 100*idle.busy), "", "≤ +0.1 % of a CPU", busier <= 0.001, busier)
	return nil
}

// use is what a process takes of the machine.
type use struct {
	anonymous int64
	// busy is the share of one CPU.
	busy float64
}

func driverUse(ctx context.Context, s *stack.Stack) (use, error) {
	before, err := cpuTime(s)
	if err != nil {
		return use{}, err
	}
	select {
	case <-time.After(watched):
	case <-ctx.Done():
		return use{}, ctx.Err()
	}
	after, err := cpuTime(s)
	if err != nil {
		return use{}, err
	}
	memory, err := rollup(s)
	return use{memory["Anonymous"], float64(after-before) / float64(watched)}, err
}

// cpuTime reads what the scheduler has counted, in nanoseconds, of all threads of driver and fetcher.
func cpuTime(s *stack.Stack) (time.Duration, error) {
	driver, err := cpuTimeOf(s.Driver)
	if err != nil {
		return 0, err
	}
	fetcher, err := cpuTimeOf(s.Fetcher)
	return driver + fetcher, err
}

func cpuTimeOf(process *stack.Process) (time.Duration, error) {
	tasks := fmt.Sprintf("/proc/%d/task", process.PID())
	entries, err := os.ReadDir(tasks)
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, entry := range entries {
		text, err := os.ReadFile(tasks + "/" + entry.Name() + "/schedstat")
		if err != nil {
			return 0, err
		}
		nanoseconds, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(nanoseconds)
	}
	return total, nil
}
