package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// SwapWatch notes when each of some volumes shows its next generation.
type SwapWatch struct {
	watcher *fsnotify.Watcher
	left    map[string]bool
}

// WatchSwaps begins to watch the volumes of the pods.
func (k *Kubelet) WatchSwaps(pods ...Pod) (*SwapWatch, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &SwapWatch{watcher: watcher, left: map[string]bool{}}
	for _, pod := range pods {
		w.left[k.Target(pod)] = true
		if err := watcher.Add(k.Target(pod)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Wait returns how long after start each volume was swapped.
func (w *SwapWatch) Wait(ctx context.Context, start time.Time) (delays []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for len(w.left) > 0 {
		select {
		case event := <-w.watcher.Events:
			target := filepath.Dir(event.Name)
			if filepath.Base(event.Name) == layout.DataLink && event.Op.Has(fsnotify.Create) && w.left[target] {
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

// Close ends it.
func (w *SwapWatch) Close() { _ = w.watcher.Close() }
