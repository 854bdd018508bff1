package secretmanager

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// TestNoSecretIsEverResolvedUnderAnotherIdentity runs pods of several identities at
// once against a cloud that fails in every way, with annotations that change under
// way, callers that leave, and caches that are too small. Whatever comes back was read
// under the identity of the pod that asked.
func TestNoSecretIsEverResolvedUnderAnotherIdentity(t *testing.T) {
	const workers = 32
	operations := testlong.Count(10_000, 100_000)
	synctest.Test(t, func(t *testing.T) {
		world := newWorld()
		resolver := New(Config{
			Clouds:      map[string]Cloud{"fake": &fakeCloud{access: world.access}},
			Annotations: world.annotations, AnnotationsFor: 30 * time.Millisecond,
			LatestFor: 50 * time.Millisecond, PinnedFor: 200 * time.Millisecond, SessionFor: 300 * time.Millisecond,
			CacheBytes: 2048, CallsAtOnce: 8, CallTimeout: 100 * time.Millisecond, Timeout: time.Second,
		})
		var all sync.WaitGroup
		outcomes := make(chan error, operations)
		for range workers {
			all.Go(func() {
				for range operations / workers {
					outcomes <- world.operate(t, resolver)
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second) // calls outlive those who left; their timeout ends them
		close(outcomes)
		kinds := map[error]int{}
		for err := range outcomes {
			kinds[kindOf(err)]++
		}
		for _, kind := range []error{nil, provider.ErrDenied, provider.ErrMissing, provider.ErrUnavailable, provider.ErrUnauthenticated} {
			assert.NotZero(t, kinds[kind], "the test never saw %v", kind)
		}
	})
}

func kindOf(err error) error {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure.Kind
	}
	return err
}

// world is a few namespaces and service accounts whose annotations change.
type world struct {
	mu        sync.Mutex
	annotated map[string]string // annotation by "namespace/service account"
}

func newWorld() *world { return &world{annotated: map[string]string{}} }

// one of a few names; both lists hold the same ones, so that mixing them up shows.
func oneOf(names ...string) string { return names[rand.N(len(names))] }

func (w *world) operate(t *testing.T, resolver *Resolver) error {
	pod := podOf(oneOf("x", "y", "xy"), oneOf("x", "y", "yx"), oneOf("good", "good", "good", "expired", ""))
	ref := entry.Reference{
		Cloud: "fake", Name: oneOf("x", "y"), Location: oneOf("x", "y", ""), Version: oneOf("", "7"), Role: oneOf("", "", "x"),
	}
	if rand.N(10) == 0 {
		w.annotate(pod)
	}
	ctx, cancel := context.WithTimeout(t.Context(), rand.N(400*time.Millisecond))
	defer cancel()
	value, err := resolver.Resolve(ctx, pod, ref)
	if err != nil {
		assert.Zero(t, value.Len(), "an error brings no value")
		return err
	}
	w.check(t, pod, ref, value.Reveal())
	return nil
}

// check compares all but the annotation, which may have changed while the call was
// under way; access has seen to that part.
func (w *world) check(t *testing.T, pod provider.Identity, ref entry.Reference, value string) {
	for generation := range 100 {
		if value == owner(pod, annotationOf(pod, generation), ref) {
			return
		}
	}
	if value != owner(pod, "", ref) {
		assert.Fail(t, "another identity's secret", "%s for %s", value, owner(pod, "…", ref))
	}
}

func annotationOf(pod provider.Identity, generation int) string {
	return fmt.Sprintf("%s/%s#%d", pod.Namespace, pod.ServiceAccount, generation)
}

func (w *world) annotate(pod provider.Identity) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.annotated[pod.Namespace+"/"+pod.ServiceAccount] = annotationOf(pod, rand.N(100))
}

func (w *world) annotations(_ context.Context, namespace, serviceAccount string) (map[string]string, error) {
	if rand.N(50) == 0 {
		return nil, errors.New("no API server")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if annotation := w.annotated[namespace+"/"+serviceAccount]; annotation != "" {
		return map[string]string{fakeAnnotation: annotation}, nil
	}
	return nil, nil
}

// access is a cloud with every kind of failure.
func (w *world) access(ctx context.Context, subject Subject, ref entry.Reference) (secret.Text, error) {
	if !pause.Wait(ctx, rand.N(20*time.Millisecond)) {
		return secret.Text{}, Unreachable("waiting")
	}
	if subject.Pod.CloudTokens[fakeAudience].Reveal() == "expired" {
		return secret.Text{}, &Failure{Kind: provider.ErrUnauthenticated}
	}
	switch rand.N(30) {
	case 0:
		return secret.Text{}, &Failure{Kind: provider.ErrDenied}
	case 1:
		return secret.Text{}, &Failure{Kind: provider.ErrMissing}
	case 2:
		return secret.Text{}, &Failure{Kind: provider.ErrUnavailable}
	case 3:
		return secret.Text{}, &Failure{Kind: provider.ErrUnavailable, Throttled: true, RetryAfter: rand.N(50 * time.Millisecond)}
	case 4:
		return secret.Text{}, &Failure{Kind: provider.ErrUnauthenticated}
	case 5:
		<-ctx.Done()
		return secret.Text{}, Unreachable("waiting")
	}
	return tells(ctx, subject, ref)
}
