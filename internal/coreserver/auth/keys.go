package auth

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

const (
	// keysFresh is how long keys are used before they are fetched again. One that is taken
	// back is believed no longer than Kubernetes itself does, which is asked all the same.
	keysFresh = 10 * time.Minute
	// keysRest is the least time between two fetches: what strangers write into their tokens
	// must not become work for the API server.
	keysRest = time.Minute
	// keysTimeout bounds a fetch.
	keysTimeout = 4 * time.Second
)

// KeySource gives the keys by which a cluster signs its tokens, as a JWKS. Its error holds
// nothing secret.
type KeySource interface {
	Keys(ctx context.Context) ([]byte, error)
}

// keyring holds a cluster's keys. It is safe for concurrent use.
type keyring struct {
	source  KeySource
	log     *slog.Logger
	flights singleflight.Group

	mu    sync.Mutex
	keys  map[string]crypto.PublicKey // nil until they were fetched once
	tried time.Time                   // when the last fetch began
	fault string                      // of the last fetch, so that one is told once
}

// signature is what the keys say of a token.
type signature int

const (
	unknowable signature = iota // there are no keys
	forged
	genuine
)

// check tells whether one of the keys has signed the token. An id that is not known has
// the keys fetched again, but no more than once a minute.
func (k *keyring) check(ctx context.Context, token shape) signature {
	key, found, age, any := k.find(token.keyID)
	switch {
	case !found && age >= keysRest:
		k.refresh(ctx)
		key, found, _, any = k.find(token.keyID)
	case age >= keysFresh:
		// Nobody waits for it.
		go k.refresh(context.WithoutCancel(ctx))
	}
	switch {
	case !any:
		return unknowable
	case !found || !token.isSignedBy(key):
		return forged
	default:
		return genuine
	}
}

func (k *keyring) find(id string) (key crypto.PublicKey, found bool, age time.Duration, any bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, found = k.keys[id]
	return key, found, time.Since(k.tried), k.keys != nil
}

// refresh fetches the keys, once for all who want that. Where it fails those that were
// known stay.
func (k *keyring) refresh(ctx context.Context) {
	flight := k.flights.DoChan("", func() (any, error) {
		k.mu.Lock()
		rested := time.Since(k.tried) >= keysRest
		if rested {
			k.tried = time.Now()
		}
		k.mu.Unlock()
		if rested {
			k.take(k.fetch(context.WithoutCancel(ctx)))
		}
		return nil, nil
	})
	select {
	case <-flight:
	case <-ctx.Done():
	}
}

func (k *keyring) fetch(ctx context.Context) (map[string]crypto.PublicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	text, err := k.source.Keys(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("what the API server answers makes no sense: %w", err)
	}
	return keys, nil
}

func (k *keyring) take(keys map[string]crypto.PublicKey, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		k.keys, k.fault = keys, ""
		return
	}
	if k.fault != err.Error() && !errors.Is(err, context.Canceled) {
		k.fault = err.Error()
		k.log.Warn("cannot fetch the keys of service-account tokens: forged ones are not told from others before Kubernetes is asked",
			logkey.Error, err)
	}
}
