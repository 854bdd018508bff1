// Package kubernetes serves entries from Kubernetes Secrets in the pod's own namespace,
// read with the pod's own token: the pod's own RBAC decides. Rules say which Secret holds an
// entry: one by this driver's convention, see convention.go, or one in the form of Airflow's own
// Kubernetes backend, see airflow.go.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/internal/claim"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	// callsAtOnce bounds the calls of one Fetch that are under way.
	callsAtOnce = 8
	// fetchFor is for a thousand calls in turns with others', and less than kubelet waits.
	fetchFor = 100 * time.Second
)

// Config is how to reach the API server.
type Config struct {
	// API is where the API server is. Its credentials are the driver's own; nothing but
	// Watch uses them.
	API *rest.Config
	// Audience is that of the pods' tokens for the API server; empty for its default
	// audience, which is what an empty audience means in tokenRequests.
	Audience string
	// Watch says that the driver may watch the metadata of Secrets in all namespaces.
	// Kubernetes cannot grant that without the right to read their values.
	Watch bool
	// Rules say which Secret holds an entry.
	Rules  Rules
	Logger *slog.Logger
	// Observer is told how the watch goes; optional.
	Observer Observer
	// Now is time.Now where nil.
	Now func() time.Time
}

// Observer is told how the watch goes, for whoever counts it. Its methods return at once
// and are safe for concurrent use.
type Observer interface {
	// WatchHeard tells that a watch began, or told of something.
	WatchHeard()
	// WatchInterrupted tells that a watch failed or could not begin. One that the API
	// server ends when its time is over is none.
	WatchInterrupted()
}

// silent is the Observer of those who count nothing.
type silent struct{}

func (silent) WatchHeard()       {}
func (silent) WatchInterrupted() {}

// Provider implements provider.Provider and provider.Watcher.
type Provider struct {
	config   Config
	versions provider.Versions
	// whole carries no credentials; each request brings a pod's.
	whole *rest.RESTClient
	// metadata reads metadata alone, and without credentials too.
	metadata *rest.RESTClient
	// watching is metadata with the driver's own.
	watching *rest.RESTClient
	// away is when the API server could last not be reached.
	away atomic.Pointer[time.Time]
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Paced    = (*Provider)(nil)
	_ provider.Watcher  = (*Provider)(nil)
)

// New asks nobody yet.
func New(config Config) (*Provider, error) {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Observer == nil {
		config.Observer = silent{}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	anonymous := rest.AnonymousClientConfig(config.API)
	whole, err := newClient(anonymous, objects)
	if err != nil {
		return nil, err
	}
	partial, err := newClient(anonymous, metadata)
	if err != nil {
		return nil, err
	}
	watching, err := newClient(endless(config.API), metadata)
	if err != nil {
		return nil, err
	}
	return &Provider{config: config, versions: provider.NewVersions(), whole: whole, metadata: partial, watching: watching}, nil
}

// FetchFor implements provider.Paced.
func (*Provider) FetchFor() time.Duration { return fetchFor }

// Fetch implements provider.Provider.
func (p *Provider) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	token := pod.CloudTokens[p.config.Audience]
	if token.Len() == 0 {
		return nil, fmt.Errorf("reading Secrets: %w: %s", provider.ErrUnauthenticated, pod.Lacks(p.config.Audience))
	}
	as := caller{p, pod.Namespace, p.config.Rules.namespace(pod.Namespace), token, newRoom(request.MaxBytes), request.Partial}
	connections, err := as.names(ctx, entry.Connection, request.Connections)
	if err != nil {
		return nil, err
	}
	variables, err := as.names(ctx, entry.Variable, request.Variables)
	if err != nil {
		return nil, err
	}
	return as.fetch(ctx, append(connections, variables...))
}

// caller reads one namespace with one pod's token.
type caller struct {
	*Provider
	// pods is the pod's namespace, in whose turn calls are made; namespace has the Secrets.
	pods, namespace string
	token           secret.Text
	room            *room
	// partial is the request's.
	partial bool
}

func (c caller) fetch(ctx context.Context, asked []entry.Name) ([]entry.Entry, error) {
	entries, noRoom := make([]entry.Entry, len(asked)), make([]bool, len(asked))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(callsAtOnce)
	for i, name := range asked {
		group.Go(func() (err error) {
			err = errNoRoom
			if !c.room.full.Load() {
				entries[i], err = c.entry(groupCtx, name)
			}
			if noRoom[i] = errors.Is(err, errNoRoom); noRoom[i] && c.partial {
				return nil
			}
			return err
		})
	}
	err := group.Wait()
	if err == nil {
		err = c.fetchAlone(ctx, asked, entries, noRoom)
	}
	if err != nil {
		return nil, c.wholeError(ctx, err)
	}
	return entries, nil
}

// fetchAlone reads one after the other what there was no room for beside others. Once there is
// none for one alone, it only asks whether the rest are there.
func (c caller) fetchAlone(ctx context.Context, asked []entry.Name, entries []entry.Entry, noRoom []bool) (err error) {
	read := c.entry
	for i, name := range asked {
		if !noRoom[i] {
			continue
		}
		if entries[i], err = read(ctx, name); errors.Is(err, errNoRoom) {
			read = c.entryUnread
			entries[i], err = read(ctx, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entryUnread is an entry that there is no room for, if there is one.
func (c caller) entryUnread(ctx context.Context, name entry.Name) (entry.Entry, error) {
	c.room, c.partial = newRoom(mostMetadata), false
	found, err := c.exists(ctx, name)
	if !c.looksByLabel(name, found.ObjectMeta, err) {
		return c.answered(name, err, func() (entry.Entry, error) { return entry.NoRoom(name), nil })
	}
	return c.byLabel(name, func(selector string) (int, error) {
		list, err := c.list(ctx, selector, "")
		return len(list.Items), err
	}, func() (entry.Entry, error) { return entry.NoRoom(name), nil })
}

// entry reads one Secret. It fails where the API server says something about all of them.
func (c caller) entry(ctx context.Context, name entry.Name) (entry.Entry, error) {
	ctx, reading := c.room.begin(ctx)
	defer reading.end(0)
	made, err := c.find(ctx, name)
	if err == nil && !reading.end(bytesOf(made)) {
		err = errNoRoom
	}
	if errors.Is(err, errNoRoom) {
		c.room.full.Store(true)
		made = entry.Entry{}
	}
	return made, err
}

// find is the entry that a Secret of its name or, in Airflow's form, of its label holds.
func (c caller) find(ctx context.Context, name entry.Name) (entry.Entry, error) {
	found, err := c.get(ctx, name)
	if !c.looksByLabel(name, found.ObjectMeta, err) {
		return c.answered(name, err, func() (entry.Entry, error) { return c.decode(name, found) })
	}
	var list corev1.SecretList
	return c.byLabel(name, func(selector string) (n int, err error) {
		list, err = c.listWhole(ctx, selector)
		return len(list.Items), err
	}, func() (entry.Entry, error) { return c.decodeAirflow(name, &list.Items[0]) })
}

// answered is the entry that a Secret holds, or why it cannot be had.
func (c caller) answered(name entry.Name, err error, decode func() (entry.Entry, error)) (entry.Entry, error) {
	switch {
	case err == nil:
		return decoded(name, decode)
	case isStatus(err, http.StatusNotFound):
		return entry.Refused(name, entry.Missing, "there is no Secret "+c.secretName(name)), nil
	case isStatus(err, http.StatusForbidden):
		return entry.Refused(name, entry.Denied, "RBAC does not let the pod get Secret "+c.secretName(name)), nil
	}
	return entry.Entry{}, err
}

func decoded(name entry.Name, decode func() (entry.Entry, error)) (entry.Entry, error) {
	held, err := decode()
	switch {
	case errors.Is(err, errAnotherID):
		return entry.Refused(name, entry.Missing, err.Error()), nil
	case err != nil:
		return entry.Refused(name, entry.Invalid, err.Error()), nil
	}
	return held, nil
}

// secretName names the Secret, with its namespace where that is not the pod's own.
func (c caller) secretName(name entry.Name) string {
	if c.namespace != c.pods {
		return c.namespace + "/" + c.config.Rules.secretName(name)
	}
	return c.config.Rules.secretName(name)
}

// wholeError says whose turn it is. An error of the caller's own context is told as
// such: others of the group fail with it. That there is no API server is everybody's to
// know, and names no namespace.
func (c caller) wholeError(ctx context.Context, err error) error {
	of := func(kind, err error) error {
		return fmt.Errorf("reading Secrets of namespace %s: %w: %w", c.namespace, kind, err)
	}
	switch {
	case errors.Is(err, errNoRoom):
		return of(provider.ErrTooLarge, err)
	case ctx.Err() != nil:
		return provider.OfCall(of(provider.ErrUnavailable, context.Cause(ctx)))
	case errors.Is(err, errUnreachable):
		return fmt.Errorf("reading Secrets: %w: %w", provider.ErrUnavailable, err)
	case isStatus(err, http.StatusUnauthorized):
		return fmt.Errorf("%w%s", of(provider.ErrUnauthenticated, err), claim.Shown(c.token.Reveal()))
	case isStatus(err, http.StatusForbidden):
		return of(provider.ErrDenied, err)
	}
	return provider.OfCall(of(provider.ErrUnavailable, err))
}
