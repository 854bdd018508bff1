package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const publishRounds = 300

// publish measures one publish and one unpublish at a time, through kubelet's socket.
func (b *bench) publish(ctx context.Context) (err error) {
	s, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	all, err := pods(ctx, s, 1)
	if err != nil {
		return err
	}
	var publishes, unpublishes, mounts, unmounts durations
	for round := range publishRounds + 20 {
		start := time.Now()
		if err := s.Kubelet.Publish(ctx, all[0]); err != nil {
			return err
		}
		published := time.Now()
		if err := s.Kubelet.Unpublish(ctx, all[0]); err != nil {
			return err
		}
		unpublished := time.Now()
		mounted, unmounted, err := bareVolume(filepath.Join(s.Dir, "bare"))
		if err != nil {
			return err
		}
		if round < 20 { // warm-up
			continue
		}
		publishes, mounts = append(publishes, published.Sub(start)), append(mounts, mounted)
		unpublishes, unmounts = append(unpublishes, unpublished.Sub(published)), append(unmounts, unmounted)
	}
	const budget = 2 * time.Millisecond
	median, floor := publishes.at(.5), mounts.at(.5)
	b.line("publish, 10 connections, p50", short(median), short(floor)+" bare mount+write", times(median, floor), "≤ "+short(budget), median <= budget)
	b.line("publish, 10 connections, p99", short(publishes.at(.99)), short(mounts.at(.99))+" bare mount+write", times(publishes.at(.99), mounts.at(.99)), none, true)
	median, floor = unpublishes.at(.5), unmounts.at(.5)
	b.line("unpublish, p50", short(median), short(floor)+" bare unmount", times(median, floor), none, true)
	return nil
}

// sustained measures how many publishes a node does in a second, each pod's volume
// published and unpublished again by one of several callers.
func (b *bench) sustained(ctx context.Context) (err error) {
	const callers, total = 16, 3000
	s, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	all, err := pods(ctx, s, callers)
	if err != nil {
		return err
	}
	var left atomic.Int64
	left.Store(total)
	errs := make([]error, callers)
	var group sync.WaitGroup
	start := time.Now()
	for i, pod := range all {
		group.Go(func() {
			for left.Add(-1) >= 0 && errs[i] == nil {
				errs[i] = errors.Join(s.Kubelet.Publish(ctx, pod), s.Kubelet.Unpublish(ctx, pod))
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	rate := total / time.Since(start).Seconds()
	b.line("publish and unpublish, 16 at once, per second", fmt.Sprintf("%.0f", rate), none, "", "≥ 500", rate >= 500)
	return nil
}
