package secretmanager

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestPodsOfOneIdentityShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		cloud := &fakeCloud{access: func(ctx context.Context, subject Subject, ref entry.Reference) (secret.Text, error) {
			<-answer
			return tells(ctx, subject, ref)
		}}
		resolver := resolverOf(cloud)
		done := make(chan error)
		for pod := range 110 {
			go func() {
				_, err := resolver.Resolve(t.Context(), podOf("ns", "a", fmt.Sprint(pod)), aReference)
				done <- err
			}()
		}
		synctest.Wait()
		close(answer)
		for range 110 {
			require.NoError(t, <-done)
		}
		opens, calls := cloud.counted()
		assert.Equal(t, [2]int{1, 1}, [2]int{opens, calls})
	})
}

func TestNothingIsSharedBeyondAnIdentity(t *testing.T) {
	annotation := ""
	cloud := &fakeCloud{access: tells}
	resolver := New(Config{
		Clouds:         map[string]Cloud{"fake": cloud, "other": cloud},
		AnnotationsFor: time.Nanosecond,
		Annotations: func(context.Context, string, string) (map[string]string, error) {
			return map[string]string{fakeAnnotation: annotation, "another": "ignored"}, nil
		},
	})
	variants := map[string]func(*provider.Identity, *entry.Reference){
		"the first":       func(*provider.Identity, *entry.Reference) {},
		"namespace":       func(pod *provider.Identity, _ *entry.Reference) { *pod = podOf("ns2", "a", "token") },
		"service account": func(pod *provider.Identity, _ *entry.Reference) { *pod = podOf("ns", "b", "token") },
		"annotation":      func(*provider.Identity, *entry.Reference) { annotation = "p" },
		"role":            func(_ *provider.Identity, ref *entry.Reference) { ref.Role = "r" },
		"location":        func(_ *provider.Identity, ref *entry.Reference) { ref.Location = "m" },
		"name":            func(_ *provider.Identity, ref *entry.Reference) { ref.Name = "t" },
		"version":         func(_ *provider.Identity, ref *entry.Reference) { ref.Version = "7" },
		"cloud":           func(_ *provider.Identity, ref *entry.Reference) { ref.Cloud = "other" },
		"parts that join up alike": func(pod *provider.Identity, _ *entry.Reference) {
			*pod = podOf("n", "sa", "token")
		},
	}
	for name, vary := range variants {
		pod, ref := podOf("ns", "a", "token"), aReference
		annotation = ""
		vary(&pod, &ref)
		value, err := resolver.Resolve(t.Context(), pod, ref)
		require.NoError(t, err)
		assert.Equal(t, owner(pod, annotation, ref), value.Reveal(), name)
	}
	_, calls := cloud.counted()
	assert.Equal(t, len(variants), calls)
}

func TestValuesAreKeptForAWhile(t *testing.T) {
	for version, kept := range map[string]time.Duration{
		"": time.Minute, "latest": time.Minute, "AWSPREVIOUS": time.Minute, "7": 10 * time.Minute,
		"12345678-1234-1234-1234-123456789012": 10 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			cloud := &fakeCloud{access: tells}
			resolver := resolverOf(cloud)
			ref := aReference
			ref.Version = version
			calls := func() int {
				_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "token"), ref)
				require.NoError(t, err)
				_, calls := cloud.counted()
				return calls
			}
			assert.Equal(t, 1, calls())
			time.Sleep(kept - time.Nanosecond)
			assert.Equal(t, 1, calls())
			time.Sleep(time.Nanosecond)
			assert.Equal(t, 2, calls(), version)
		})
	}
}

func TestFailuresAreNotKept(t *testing.T) {
	failing := true
	cloud := &fakeCloud{access: func(ctx context.Context, subject Subject, ref entry.Reference) (secret.Text, error) {
		if failing {
			return secret.Text{}, &Failure{Kind: provider.ErrDenied}
		}
		return tells(ctx, subject, ref)
	}}
	resolver := resolverOf(cloud)
	_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "token"), aReference)
	require.ErrorIs(t, err, provider.ErrDenied)
	failing = false
	_, err = resolver.Resolve(t.Context(), podOf("ns", "a", "token"), aReference)
	require.NoError(t, err)
}

// onlyToken refuses every token but one.
func onlyToken(good string) func(context.Context, Subject, entry.Reference) (secret.Text, error) {
	return func(ctx context.Context, subject Subject, ref entry.Reference) (secret.Text, error) {
		if subject.Pod.CloudTokens[fakeAudience].Reveal() != good {
			return secret.Text{}, &Failure{Kind: provider.ErrUnauthenticated}
		}
		return tells(ctx, subject, ref)
	}
}

func TestASessionEndsWithItsToken(t *testing.T) {
	cloud := &fakeCloud{access: onlyToken("old")}
	resolver := resolverOf(cloud)
	_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "old"), aReference)
	require.NoError(t, err)

	cloud.access = onlyToken("new")
	other := aReference
	other.Name = "t"
	_, err = resolver.Resolve(t.Context(), podOf("ns", "a", "old"), other)
	require.ErrorIs(t, err, provider.ErrUnauthenticated)
	_, err = resolver.Resolve(t.Context(), podOf("ns", "a", "new"), other)
	require.NoError(t, err, "a pod with a good token does not suffer for another's")
}

func TestWhoJoinedABadTokensCallTriesTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := make(chan struct{})
		decide := onlyToken("good")
		cloud := &fakeCloud{access: func(ctx context.Context, subject Subject, ref entry.Reference) (secret.Text, error) {
			<-first
			return decide(ctx, subject, ref)
		}}
		resolver := resolverOf(cloud)
		bad, good := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "bad"), aReference)
			bad <- err
		}()
		synctest.Wait()
		go func() {
			_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "good"), aReference)
			good <- err
		}()
		synctest.Wait()
		close(first)
		require.ErrorIs(t, <-bad, provider.ErrUnauthenticated)
		require.NoError(t, <-good)
	})
}

func TestACallOutlivesWhoeverBeganIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		cloud := &fakeCloud{access: func(ctx context.Context, subject Subject, ref entry.Reference) (secret.Text, error) {
			select {
			case <-answer:
				return tells(ctx, subject, ref)
			case <-ctx.Done():
				return secret.Text{}, Unreachable("waiting")
			}
		}}
		resolver := resolverOf(cloud)
		ctx, leave := context.WithCancel(t.Context())
		left, stayed := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := resolver.Resolve(ctx, podOf("ns", "a", "1"), aReference)
			left <- err
		}()
		synctest.Wait()
		go func() {
			_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "2"), aReference)
			stayed <- err
		}()
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-left, provider.ErrUnavailable)
		close(answer)
		require.NoError(t, <-stayed)
		_, calls := cloud.counted()
		assert.Equal(t, 1, calls)
	})
}

// TestASessionThatIsSilentIsNotUsedAgain has sessions that never answer once they did not.
func TestASessionThatIsSilentIsNotUsedAgain(t *testing.T) {
	for _, row := range []struct {
		name string
		// answers is how many calls the first session answers before it is silent.
		answers, opens int
	}{{"from the first call on", 0, 2}, {"later", 1, 2}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				cloud := &fakeCloud{}
				cloud.access = func(ctx context.Context, subject Subject, ref entry.Reference) (secret.Text, error) {
					if opens, _ := cloud.counted(); opens > 1 || calls < row.answers {
						calls++
						return tells(ctx, subject, ref)
					}
					<-ctx.Done()
					return secret.Text{}, Unreachable("waiting")
				}
				resolver := resolverOf(cloud)
				for range row.answers + 1 {
					_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "token"), aReference)
					require.NoError(t, err)
					time.Sleep(time.Minute)
				}
				opens, _ := cloud.counted()
				assert.Equal(t, row.opens, opens)
			})
		})
	}
}

func TestAnnotationsAreReadOnceForManyPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int32
		answer := make(chan struct{})
		resolver := New(Config{
			Clouds: map[string]Cloud{"fake": &fakeCloud{access: tells}},
			Annotations: func(context.Context, string, string) (map[string]string, error) {
				reads.Add(1)
				<-answer
				return map[string]string{fakeAnnotation: "p"}, nil
			},
		})
		done := make(chan string)
		resolve := func() {
			value, err := resolver.Resolve(t.Context(), podOf("ns", "a", "token"), aReference)
			assert.NoError(t, err)
			done <- value.Reveal()
		}
		for range 110 {
			go resolve()
		}
		synctest.Wait()
		close(answer)
		for range 110 {
			assert.Equal(t, owner(podOf("ns", "a", ""), "p", aReference), <-done)
		}
		assert.EqualValues(t, 1, reads.Load())
		time.Sleep(time.Minute)
		go resolve()
		<-done
		assert.EqualValues(t, 2, reads.Load())
	})
}

// TestWhatIsKeptIsBounded counts what a Resolver keeps beside the secrets: of service
// accounts what a cloud asks for, and of tiny secrets no more than fit.
func TestWhatIsKeptIsBounded(t *testing.T) {
	resolver := New(Config{
		Clouds: map[string]Cloud{"fake": &fakeCloud{access: func(context.Context, Subject, entry.Reference) (secret.Text, error) {
			return secret.New("x"), nil
		}}},
		Annotations: func(context.Context, string, string) (map[string]string, error) {
			return map[string]string{fakeAnnotation: "p", "kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 200<<10)}, nil
		},
		CacheBytes: 10 * overhead,
	})
	pod := podOf("ns", "a", "token")
	for i := range 100 {
		_, err := resolver.Resolve(t.Context(), pod, entry.Reference{Cloud: "fake", Name: strconv.Itoa(i)})
		require.NoError(t, err)
	}
	assert.Less(t, resolver.values.Len(), 10)
	accounts := resolver.doors["fake"].accounts
	known, found := accounts.known.Get(accounts.keyer.account(pod))
	require.True(t, found)
	assert.Equal(t, map[string]string{fakeAnnotation: "p"}, known)
}

func TestASilentAPIServerHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resolver := New(Config{
			Clouds: map[string]Cloud{"fake": &fakeCloud{access: tells}},
			Annotations: func(ctx context.Context, _, serviceAccount string) (map[string]string, error) {
				if serviceAccount == "gone" {
					return nil, errors.New("404")
				}
				<-ctx.Done()
				return nil, errors.New("the API server does not answer in time")
			},
			CallTimeout: patience,
		})
		began := time.Now()
		resolve := func(account string) error {
			_, err := resolver.Resolve(t.Context(), podOf("ns", account, "token"), aReference)
			return err
		}
		require.ErrorContains(t, resolve("gone"), "404")
		require.ErrorContains(t, resolve("a"), "in time")
		require.ErrorContains(t, resolve("b"), "reading service account ns/b: the API server does not answer (unavailable)")
		assert.Equal(t, patience, time.Since(began))
	})
}

func TestBadPayloads(t *testing.T) {
	for name, row := range map[string]struct{ value, message string }{
		"empty":     {"", "is empty"},
		"binary":    {"\xffn33dle", "is binary"},
		"NUL":       {"n33dle\x00", "is binary"},
		"too large": {strings.Repeat("n33dle", 11_000), "larger than 64 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := &fakeCloud{access: func(context.Context, Subject, entry.Reference) (secret.Text, error) {
				return secret.New(row.value), nil
			}}
			_, err := resolverOf(cloud).Resolve(t.Context(), podOf("ns", "a", "token"), aReference)
			var failure *Failure
			require.ErrorAs(t, err, &failure)
			assert.NoError(t, failure.Kind)
			assert.ErrorContains(t, err, row.message)
			assert.NotContains(t, err.Error(), "n33dle")
		})
	}
}

func TestResolveRefusesBeforeItAsks(t *testing.T) {
	cloud := &fakeCloud{access: tells}
	t.Run("a cloud that is not enabled", func(t *testing.T) {
		_, err := resolverOf(cloud).Resolve(t.Context(), podOf("ns", "a", "token"), entry.Reference{Cloud: "aws"})
		require.ErrorContains(t, err, "references into aws are not enabled")
	})
	t.Run("annotations that cannot be read", func(t *testing.T) {
		resolver := New(Config{Clouds: map[string]Cloud{"fake": cloud}, Annotations: func(context.Context, string, string) (map[string]string, error) {
			return nil, errors.New("reading service account ns/a: why")
		}})
		_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "token"), aReference)
		require.ErrorIs(t, err, provider.ErrUnavailable)
		assert.EqualError(t, err, "reading service account ns/a: why (unavailable); wait, it is tried again")
	})
	t.Run("tokens of another service account", func(t *testing.T) {
		pod := podOf("ns", "b", "token")
		pod.ServiceAccount = "a"
		_, err := resolverOf(cloud).Resolve(t.Context(), pod, aReference)
		require.ErrorIs(t, err, provider.ErrUnauthenticated)
		assert.ErrorContains(t, err, "no token from kubelet is of service account ns/a; ")
	})
	t.Run("no token", func(t *testing.T) {
		pod := podOf("ns", "a", "")
		_, err := resolverOf(cloud).Resolve(t.Context(), pod, aReference)
		require.ErrorIs(t, err, provider.ErrUnauthenticated)
	})
	_, calls := cloud.counted()
	assert.Zero(t, calls)
}

// What was cached for a service account is for who has a token of it, and not for who is
// said to be it.
func TestACachedSecretIsForTheAccountsOwn(t *testing.T) {
	resolver := resolverOf(&fakeCloud{access: tells})
	_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "token"), aReference)
	require.NoError(t, err)
	thief := podOf("ns", "b", "token")
	thief.ServiceAccount = "a"
	value, err := resolver.Resolve(t.Context(), thief, aReference)
	require.ErrorIs(t, err, provider.ErrUnauthenticated)
	assert.Zero(t, value.Len())
}

func TestAPanicOfAFlightIsItsCallersError(t *testing.T) {
	resolver := resolverOf(&fakeCloud{access: tells})
	resolver.doors["fake"].pace = nil // over which the call panics
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "token"), aReference)
			var ended *logkey.Panic
			if assert.ErrorAs(t, err, &ended) {
				assert.Contains(t, ended.About[1].Value.String(), "(*Resolver).fetch")
			}
		})
	}
	calls.Wait()
}

// Nor is a probe of the API server under way for ever that ended in a panic.
func TestAPanicOverAServiceAccountIsItsCallersError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ways := []func(ctx context.Context) (map[string]string, error){
			func(ctx context.Context) (map[string]string, error) { <-ctx.Done(); return nil, ctx.Err() },
			func(context.Context) (map[string]string, error) { panic("n33dle") },
			func(context.Context) (map[string]string, error) { return nil, nil },
		}
		asked := 0
		resolver := New(Config{
			Clouds: map[string]Cloud{"fake": &fakeCloud{access: tells}},
			Annotations: func(ctx context.Context, _, _ string) (map[string]string, error) {
				asked++
				return ways[asked-1](ctx)
			},
		})
		resolve := func() error {
			_, err := resolver.Resolve(t.Context(), podOf("ns", "a", "token"), aReference)
			return err
		}
		require.ErrorIs(t, resolve(), provider.ErrUnavailable)
		time.Sleep(retryAway)
		var ended *logkey.Panic
		err := resolve()
		require.ErrorAs(t, err, &ended)
		assert.NotContains(t, fmt.Sprint(err, ended.About), "n33dle")
		require.NoError(t, resolve(), "another call finds out")
	})
}
