package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	watchFor     = 5 * time.Minute
	firstBackoff = time.Second
	maxBackoff   = 30 * time.Second
	// anyKind selects the Secrets of the convention.
	anyKind = kindLabel + " in (connection, variable)"
)

// Watch implements provider.Watcher, under the driver's own identity. It sees names
// and labels, never values.
func (p *Provider) Watch(ctx context.Context, notify func(provider.Change)) error {
	if !p.config.Watch {
		return fmt.Errorf("watching Secrets: %w: it is not turned on", provider.ErrWatchUnsupported)
	}
	for failures := 0; ; {
		began := time.Now()
		err := p.watchOnce(ctx, notify)
		if failures++; time.Since(began) > maxBackoff {
			failures = 0
		}
		if err != nil {
			p.config.Observer.WatchInterrupted()
		}
		var answer *answerError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &answer) && (answer.status == http.StatusForbidden || answer.status == http.StatusUnauthorized):
			return fmt.Errorf("watching Secrets: %w: RBAC does not let the driver list and watch them", provider.ErrWatchUnsupported)
		case err != nil:
			p.config.Logger.Warn("watch ended", slog.String(logkey.Source, "kubernetes"), slog.Any(logkey.Error, err))
		}
		if !wait(ctx, failures) {
			return context.Cause(ctx)
		}
	}
}

// watchOnce lists, tells that anything may have changed since the last time, and goes
// on from there until the API server ends the watch.
func (p *Provider) watchOnce(ctx context.Context, notify func(provider.Change)) error {
	ctx = on(ctx, "")
	var list metav1.PartialObjectMetadataList
	err := p.watching.Get().Resource("secrets").Param("labelSelector", anyKind).Param("limit", "1").Do(ctx).Into(&list)
	if err != nil {
		return faultOf(err)
	}
	length := watchFor + rand.N(watchFor)
	events, err := p.watching.Get().Resource("secrets").Param("labelSelector", anyKind).Param("watch", "true").
		Param("resourceVersion", list.ResourceVersion).
		Param("timeoutSeconds", fmt.Sprint(int(length.Seconds()))).Watch(ctx)
	if err != nil {
		return faultOf(err)
	}
	defer events.Stop()
	p.config.Observer.WatchHeard()
	notify(provider.Change{All: true})
	for event := range events.ResultChan() {
		p.config.Observer.WatchHeard()
		meta, known := event.Object.(*metav1.PartialObjectMetadata)
		if event.Type == watch.Error || !known {
			return errNoAnswer
		}
		if name, ours := nameOf(meta.ObjectMeta); ours {
			notify(provider.Change{Entries: []entry.Name{name}, Namespace: meta.Namespace})
		}
	}
	return nil
}

// wait waits longer with each watch that ended soon; after one that lasted it does not
// wait.
func wait(ctx context.Context, failures int) bool {
	length := time.Duration(0)
	if failures > 0 {
		length = pause.Jittered(min(firstBackoff<<min(failures-1, 10), maxBackoff))
	}
	return pause.Wait(ctx, length)
}
