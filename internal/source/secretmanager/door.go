package secretmanager

import (
	"context"
	"errors"
	"sync"

	"github.com/leoflow/secrets-csi/internal/cache"
	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/internal/turn"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// maxSessions is more than a node has service accounts in use.
const maxSessions = 1024

// Opener opens sessions for pods. Errors of its methods, and of its sessions', are
// *Failure.
type Opener[S any] interface {
	// Annotations names the service-account annotations that decide which
	// identity a pod has.
	Annotations() []string
	// Open begins a session. It asks nobody yet: a session exchanges the pod's token
	// when it first needs to. It is safe for concurrent use, and it asks once: whoever
	// calls it decides what is worth asking again.
	Open(subject Subject) (S, error)
	// Close ends the connections that are idle.
	Close() error
}

// Prompt is implemented by an Opener that may have sessions of which each call ends with its context at the latest.
type Prompt interface {
	// IsPrompt tells whether it has.
	IsPrompt() bool
}

// IsPrompt tells whether what may be a Prompt is one.
func IsPrompt(opener any) bool {
	prompt, ok := opener.(Prompt)
	return ok && prompt.IsPrompt()
}

// Door lets the pods of a node into one store of secrets, each under its own identity: it keeps
// a session for each identity, and limits and repeats the calls that are made in it.
type Door[S any] struct {
	config   Config
	kind     string
	opener   Opener[S]
	accounts *accounts
	keyer    keyer
	pace     *pace
	sessions *cache.Cache[Key, S]

	mu     sync.Mutex
	trials map[Key]*trial[S]
}

// NewDoor returns a Door to what kind names, which is part of keys. Of the config it takes
// Annotations, and what bounds calls and sessions.
func NewDoor[S any](kind string, opener Opener[S], config Config) *Door[S] {
	config = withDefaults(config)
	return newDoor(kind, opener, config, newAccounts(config, newKeyer(), opener.Annotations()))
}

func newDoor[S any](kind string, opener Opener[S], config Config, known *accounts) *Door[S] {
	pace := paceOf(config)
	pace.prompt = IsPrompt(opener)
	return &Door[S]{
		config: config, kind: kind, opener: opener, accounts: known, keyer: known.keyer,
		pace:     pace,
		sessions: cache.New[Key, S](maxSessions, nil), trials: map[Key]*trial[S]{},
	}
}

// Caller is a pod at a Door, whose identity is known.
type Caller struct {
	Subject  Subject
	identity Key
	// name is identity as text.
	name string
}

// Admit finds out which identity a pod has: that of its service account, under a role and at a
// location where those are not empty.
func (d *Door[S]) Admit(ctx context.Context, pod provider.Identity, role, location string) (Caller, error) {
	if !pod.IsAttested() {
		text := "no token from kubelet is of service account " + pod.Namespace + "/" + pod.ServiceAccount +
			"; list the audience in the CSIDriver's tokenRequests, and set podInfoOnMount there"
		if pod.Direct {
			text = "no file of --token-file has a service account's token: project a serviceAccountToken with the audience that is wanted here into the pod, and list its file"
		}
		return Caller{}, &Failure{Kind: provider.ErrUnauthenticated, Text: text}
	}
	subject := Subject{Pod: pod, Role: role, Location: location}
	var err error
	if subject.Annotations, err = d.accounts.annotations(ctx, d.opener.Annotations(), pod); err != nil {
		return Caller{}, err
	}
	identity := d.keyer.identity(d.kind, subject)
	return Caller{subject, identity, string(identity[:])}, nil
}

// Key stands for the caller's identity and these parts. What is remembered under it is for no
// other identity.
func (d *Door[S]) Key(c Caller, parts ...string) Key {
	return d.keyer.key(append([]string{"of", c.name}, parts...)...)
}

// Call makes a call in the caller's session until it succeeds, fails in a way that asking again
// does not mend, or has failed often enough. place tells apart what may be away by itself.
func Call[S, T any](ctx context.Context, d *Door[S], caller Caller, place string, call func(context.Context, S) (T, error)) (T, error) {
	at := outage.Scope{Place: place, Caller: caller.name}
	return repeat(turn.For(ctx, caller.Subject.Pod.Namespace), d.pace, at, func(ctx context.Context) (T, error) {
		return access(ctx, d, caller, call)
	})
}

// access uses the session that is there, whose token may have expired since; then it
// opens one with the caller's own. An SDK that panics over what a server answered, as
// Azure's does, fails this call and not the driver.
func access[S, T any](ctx context.Context, d *Door[S], caller Caller, call func(context.Context, S) (T, error)) (got T, err error) {
	defer func() {
		if recover() != nil {
			d.sessions.Drop(caller.identity)
			got, err = *new(T), Unreachable("making sense of what the store answered")
		}
	}()
	session, found := d.sessions.Get(caller.identity)
	if !found {
		return accessAnew(ctx, d, caller, call, true)
	}
	got, err = call(ctx, session)
	if ctx.Err() != nil {
		d.sessions.Drop(caller.identity)
	}
	if errors.Is(err, provider.ErrUnauthenticated) {
		return accessAnew(ctx, d, caller, call, false)
	}
	return got, err
}

// accessAnew keeps the session once it has answered. What an SDK began under one that did
// not may hang, and every later call with it. Calls that begin meanwhile join its trial, so
// that one token is exchanged; where that is refused they open one with the caller's own.
func accessAnew[S, T any](ctx context.Context, d *Door[S], caller Caller, call func(context.Context, S) (T, error), mayJoin bool) (T, error) {
	session, joined, err := d.try(caller, mayJoin)
	if err != nil {
		return *new(T), OfPod(err)
	}
	isSound := false
	defer func() { d.tried(caller, session, isSound) }()
	got, err := call(ctx, session.of)
	isSound = !errors.Is(err, provider.ErrUnauthenticated) && !errors.Is(err, provider.ErrUnavailable)
	if joined && errors.Is(err, provider.ErrUnauthenticated) {
		return accessAnew(ctx, d, caller, call, false)
	}
	return got, err
}

// trial is a session that has not answered yet.
type trial[S any] struct{ of S }

// try opens a session, or joins one that is being tried.
func (d *Door[S]) try(caller Caller, mayJoin bool) (made *trial[S], joined bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if under := d.trials[caller.identity]; under != nil && mayJoin {
		return under, true, nil
	}
	if proved, found := d.sessions.Get(caller.identity); found && mayJoin { // since the caller looked
		return &trial[S]{proved}, true, nil
	}
	session, err := d.opener.Open(caller.Subject)
	if err != nil {
		return nil, false, err
	}
	made = &trial[S]{session}
	d.trials[caller.identity] = made
	return made, false, nil
}

// tried ends a trial, and keeps the session if it is sound.
func (d *Door[S]) tried(caller Caller, ended *trial[S], isSound bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.trials[caller.identity] == ended {
		delete(d.trials, caller.identity)
	} else {
		isSound = false // another call ended it
	}
	if isSound {
		d.sessions.Put(caller.identity, ended.of, 1, d.config.SessionFor)
	}
}

// Close ends the connections that are idle.
func (d *Door[S]) Close() error { return d.opener.Close() }
