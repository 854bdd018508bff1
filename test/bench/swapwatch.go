package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/leoflow/secrets-csi/test/stack"
)

// swapWatch notes when each volume shows its next generation.
type swapWatch struct {
	watcher *fsnotify.Watcher
	left    map[string]bool
}

func newSwapWatch(s *stack.Stack, all []stack.Pod) (*swapWatch, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &swapWatch{watcher: watcher, left: map[string]bool{}}
	for _, pod := range all {
		target := s.Kubelet.Target(pod)
		w.left[target] = true
		if err := watcher.Add(target); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// wait returns how long after start each volume was swapped.
func (w *swapWatch) wait(ctx context.Context, start time.Time) (durations, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var delays durations
	for len(w.left) > 0 {
		select {
		case event := <-w.watcher.Events:
			target := filepath.Dir(event.Name)
			if filepath.Base(event.Name) == "..data" && event.Op.Has(fsnotify.Create) && w.left[target] {
				delete(w.left, target)
				delays = append(delays, time.Since(start))
			}
		case err := <-w.watcher.Errors:
			return nil, err
		case <-ctx.Done():
			return nil, fmt.Errorf("%d volumes never changed: %w", len(w.left), ctx.Err())
		}
	}
	return delays, nil
}

func (w *swapWatch) close() { _ = w.watcher.Close() }
