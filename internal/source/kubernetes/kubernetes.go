// Package kubernetes serves entries from Kubernetes Secrets in the pod's own namespace,
// read with the pod's own token: the pod's own RBAC decides. Convention says which
// Secret holds an entry; see convention.go.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

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
	Watch  bool
	Logger *slog.Logger
	// Observer is told how the watch goes; optional.
	Observer Observer
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
	// secrets carries no credentials; each request brings a pod's.
	secrets *rest.RESTClient
	// names reads metadata alone, and without credentials too.
	names *rest.RESTClient
	// watching is names with the driver's own.
	watching *rest.RESTClient
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
	anonymous := rest.AnonymousClientConfig(config.API)
	secrets, err := newClient(anonymous, objects)
	if err != nil {
		return nil, err
	}
	names, err := newClient(anonymous, metadata)
	if err != nil {
		return nil, err
	}
	watching, err := newClient(endless(config.API), metadata)
	if err != nil {
		return nil, err
	}
	return &Provider{config, provider.NewVersions(), secrets, names, watching}, nil
}

// FetchFor implements provider.Paced.
func (*Provider) FetchFor() time.Duration { return fetchFor }

// Fetch implements provider.Provider.
func (p *Provider) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	token := pod.CloudTokens[p.config.Audience]
	if token.Len() == 0 {
		return nil, fmt.Errorf("reading Secrets: %w: kubelet sent no token with audience %q; add it to the tokenRequests of the CSIDriver",
			provider.ErrUnauthenticated, p.config.Audience)
	}
	as := caller{p, pod.Namespace, token, newRoom(request.MaxBytes), request.Partial}
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
	namespace string
	token     secret.Text
	room      *room
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
	alone := caller{c.Provider, c.namespace, c.token, newRoom(mostMetadata), false}
	return alone.answered(name, alone.exists(ctx, name), func() (entry.Entry, error) { return entry.NoRoom(name), nil })
}

// entry reads one Secret. It fails where the API server says something about all of them.
func (c caller) entry(ctx context.Context, name entry.Name) (entry.Entry, error) {
	ctx, reading := c.room.begin(ctx)
	defer reading.end(0)
	found, err := c.get(ctx, name)
	made, err := c.answered(name, err, func() (entry.Entry, error) { return c.decode(name, found) })
	if err == nil && !reading.end(bytesOf(made)) {
		err = errNoRoom
	}
	if errors.Is(err, errNoRoom) {
		c.room.full.Store(true)
		made = entry.Entry{}
	}
	return made, err
}

// answered is the entry that a Secret holds, or why it cannot be had.
func (c caller) answered(name entry.Name, err error, decode func() (entry.Entry, error)) (entry.Entry, error) {
	var answer *answerError
	switch {
	case err == nil:
	case errors.As(err, &answer) && answer.status == http.StatusNotFound:
		return entry.Refused(name, entry.Missing, "there is no Secret "+secretName(name)), nil
	case errors.As(err, &answer) && answer.status == http.StatusForbidden:
		return entry.Refused(name, entry.Denied, "RBAC does not let the pod get Secret "+secretName(name)), nil
	default:
		return entry.Entry{}, err
	}
	held, err := decode()
	switch {
	case errors.Is(err, errAnotherID):
		return entry.Refused(name, entry.Missing, err.Error()), nil
	case err != nil:
		return entry.Refused(name, entry.Invalid, err.Error()), nil
	}
	return held, nil
}

// wholeError says whose turn it is. An error of the caller's own context is told as
// such: others of the group fail with it. That there is no API server is everybody's to
// know, and names no namespace.
func (c caller) wholeError(ctx context.Context, err error) error {
	of := func(kind, err error) error {
		return fmt.Errorf("reading Secrets of namespace %s: %w: %w", c.namespace, kind, err)
	}
	var answer *answerError
	switch {
	case errors.Is(err, errNoRoom):
		return of(provider.ErrTooLarge, err)
	case ctx.Err() != nil:
		return provider.OfCall(of(provider.ErrUnavailable, context.Cause(ctx)))
	case errors.Is(err, errUnreachable):
		return fmt.Errorf("reading Secrets: %w: %w", provider.ErrUnavailable, err)
	case errors.As(err, &answer) && answer.status == http.StatusUnauthorized:
		return of(provider.ErrUnauthenticated, err)
	case answer != nil && answer.status == http.StatusForbidden:
		return of(provider.ErrDenied, err)
	}
	return provider.OfCall(of(provider.ErrUnavailable, err))
}
