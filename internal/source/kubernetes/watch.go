package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/leoflow/secrets-csi/internal/apiserver"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	watchFor     = 5 * time.Minute
	firstBackoff = time.Second
	maxBackoff   = 30 * time.Second
)

// Watch implements provider.Watcher, under the driver's own identity. It sees names
// and labels, never values.
func (p *Provider) Watch(ctx context.Context, notify func(provider.Change)) error {
	if !p.config.Watch {
		return fmt.Errorf("watching Secrets: %w: it is not turned on", provider.ErrWatchUnsupported)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, selector := range p.config.Rules.watched() {
		group.Go(func() error { return p.watchSelected(ctx, selector, notify) })
	}
	return group.Wait()
}

// watchSelected watches the Secrets that a selector selects, again and again.
func (p *Provider) watchSelected(ctx context.Context, selector string, notify func(provider.Change)) error {
	for failures := 0; ; {
		began := time.Now()
		err := p.watchOnce(ctx, selector, notify)
		if failures++; time.Since(began) > maxBackoff {
			failures = 0
		}
		if err != nil {
			p.config.Observer.WatchInterrupted()
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isStatus(err, http.StatusForbidden):
			return fmt.Errorf("watching Secrets: %w: %w: RBAC does not let the driver list and watch them", provider.ErrWatchUnsupported, provider.ErrDenied)
		case isStatus(err, http.StatusUnauthorized):
			return fmt.Errorf("watching Secrets: %w: %w: the API server does not take the driver's own token", provider.ErrWatchUnsupported, provider.ErrUnauthenticated)
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
func (p *Provider) watchOnce(ctx context.Context, selector string, notify func(provider.Change)) error {
	ctx = apiserver.For(ctx, "")
	var list metav1.PartialObjectMetadataList
	err := p.watching.Get().Resource("secrets").Param("labelSelector", selector).Param("limit", "1").Do(ctx).Into(&list)
	if err != nil {
		return p.faultOf(err)
	}
	length := watchFor + rand.N(watchFor)
	events, err := p.watching.Get().Resource("secrets").Param("labelSelector", selector).Param("watch", "true").
		Param("resourceVersion", list.ResourceVersion).
		Param("timeoutSeconds", fmt.Sprint(int(length.Seconds()))).Watch(ctx)
	if err != nil {
		return p.faultOf(err)
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
		p.tell(meta.ObjectMeta, notify)
	}
	return nil
}

// tell tells of the entries that a Secret holds, to pods of whichever namespace reads it.
func (p *Provider) tell(meta metav1.ObjectMeta, notify func(provider.Change)) {
	readers := meta.Namespace
	switch only := p.config.Rules.namespace(""); only {
	case "":
	case meta.Namespace:
		readers = ""
	default:
		return
	}
	var entries []entry.Name
	for _, kind := range kinds {
		if name, held := p.config.Rules.held(kind, meta); held {
			entries = append(entries, name)
		}
	}
	if len(entries) > 0 {
		notify(provider.Change{Entries: entries, Namespace: readers})
	}
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
