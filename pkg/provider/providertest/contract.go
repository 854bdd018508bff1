package providertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// patience is how long something may take that is to happen at all.
const patience = 10 * time.Second

// Harness is how the contract meets one provider.
type Harness struct {
	// Serve sets up the provider over a source that holds world. It is called for each
	// part of the contract.
	Serve func(t *testing.T, world World) Source
	// Authenticates: tokens are looked at. Denies: entries are denied, not all granted.
	// A provider for development, or an old one, may do neither.
	Authenticates, Denies bool
	// Silent: what is denied or broken looks as if it were missing, in a contract that
	// has no word for either.
	Silent bool
}

// Source is a provider and what lies behind it. A nil function is a thing that cannot
// happen to this provider.
type Source struct {
	Provider provider.Provider
	// Known gives a pod of the world the credentials that the source knows it by, where it needs others than it has.
	Known func(pod provider.Identity) provider.Identity
	// SetVariable changes the content.
	SetVariable func(key, value string)
	// Freeze makes the source silent, so that a call hangs; Break makes it unreachable.
	Freeze, Break func()
	// Log is all that the provider has logged at debug level.
	Log func() string
}

// Run runs the contract.
func Run(t *testing.T, harness Harness) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, suite)
	}{
		{"each name comes back exactly once", eachNameOnce},
		{"everything that may be read comes back", everything},
		{"a version differs exactly when the entry does", versions},
		{"denied is not missing", deniedIsNotMissing},
		{"a token that is refused or absent is unauthenticated", unauthenticated},
		{"a source that is away is unavailable", unavailable},
		{"a context that has ended ends the call", cancelled},
		{"calls run side by side", concurrent},
		{"no more is read than there is memory for", bounded},
		{"a group fares as its pods would alone", group},
		{"results share no memory", ownership},
		{"watch tells of a change", watch},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			world := NewWorld()
			s := suite{harness, harness.Serve(t, world), world, new(seen)}
			if s.source.Known == nil {
				s.source.Known = func(pod provider.Identity) provider.Identity { return pod }
			}
			part.run(t, s)
			if s.source.Log != nil {
				s.seen.add(s.source.Log())
			}
			assert.NotContains(t, s.seen.String(), Needle)
		})
	}
}

type suite struct {
	harness Harness
	source  Source
	world   World
	seen    *seen
}

// seen collects whatever a person could come to see.
type seen struct {
	mu  sync.Mutex
	all strings.Builder
}

func (s *seen) add(what any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.all, "%v\n%+v\n%#v\n", what, what, what)
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// refused is how a refused entry looks to this provider's caller.
func (s suite) refused(state entry.State) string {
	if s.harness.Silent {
		state = entry.Missing
	}
	return string(state)
}

func (s suite) fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	entries, err := s.source.Provider.Fetch(ctx, s.source.Known(pod), request)
	s.seen.add(err)
	for _, one := range entries {
		s.seen.add(one)
		s.seen.add(one.Entry)
	}
	return entries, err
}

func eachNameOnce(t *testing.T, s suite) {
	request := Names([]string{"absent", "warehouse", s.world.Broken, "lake.eu-west"}, []string{"env", "absent", "blank"})
	result, err := s.fetch(t.Context(), s.world.Reader, request)
	require.NoError(t, err)

	assert.Equal(t, map[string]string{
		"connection absent":       "missing",
		"connection warehouse":    reveal(s.world.Connections[0]),
		"connection broken":       s.refused(entry.Invalid),
		"connection lake.eu-west": reveal(s.world.Connections[1]),
		"variable env":            s.world.Variables["env"],
		"variable absent":         "missing",
		"variable blank":          "",
	}, outcomes(t, result))
}

func everything(t *testing.T, s suite) {
	result, err := s.fetch(t.Context(), s.world.Reader, Everything())
	require.NoError(t, err)
	want := map[string]string{
		"connection warehouse":    reveal(s.world.Connections[0]),
		"connection lake.eu-west": reveal(s.world.Connections[1]),
		"variable env":            s.world.Variables["env"],
		"variable blank":          "",
	}
	if !s.harness.Silent {
		want["connection broken"] = "invalid"
	}
	got := outcomes(t, result)
	if s.harness.Denies {
		assert.NotContains(t, []string{s.world.Variables["forbidden"], "missing"}, got["variable forbidden"])
		delete(got, "variable forbidden") // may be told of, as denied
	} else {
		want["variable forbidden"] = s.world.Variables["forbidden"]
	}
	assert.Equal(t, want, got)
}

func bounded(t *testing.T, s suite) {
	request := Everything()
	request.MaxBytes = 8
	_, err := s.fetch(t.Context(), s.world.Reader, request)
	require.ErrorIs(t, err, provider.ErrTooLarge)

	request.MaxBytes = 1 << 20
	_, err = s.fetch(t.Context(), s.world.Reader, request)
	require.NoError(t, err)

	request.MaxBytes, request.Partial = 8, true
	result, err := s.fetch(t.Context(), s.world.Reader, request)
	if err != nil { // it reads all or nothing
		require.ErrorIs(t, err, provider.ErrTooLarge)
		return
	}
	size, refused := 0, 0
	for _, e := range result {
		for value := range e.Secrets() {
			size += value.Len()
		}
		if e.TooLarge {
			refused++
			assert.Equal(t, entry.Invalid, e.State)
		}
	}
	assert.LessOrEqual(t, size, 8)
	assert.Positive(t, refused)
}

func versions(t *testing.T, s suite) {
	request := Names([]string{"warehouse"}, []string{"env", "blank"})
	before := s.versionsOf(t, request)
	assert.NotContains(t, slices.Collect(maps.Values(before)), "")
	assert.Equal(t, before, s.versionsOf(t, request))
	if s.source.SetVariable == nil {
		return
	}
	s.source.SetVariable("env", "changed-"+Needle)
	require.Eventually(t, func() bool { return s.versionsOf(t, request)["variable env"] != before["variable env"] }, patience, 10*time.Millisecond)
	after := s.versionsOf(t, request)
	after["variable env"] = before["variable env"]
	assert.Equal(t, before, after, "another entry has a new version")
}

func (s suite) versionsOf(t *testing.T, request provider.Request) map[string]string {
	result, err := s.fetch(t.Context(), s.world.Reader, request)
	require.NoError(t, err)
	found := map[string]string{}
	for _, one := range result {
		found[string(one.Kind)+" "+one.ID] = one.Version
	}
	return found
}

func deniedIsNotMissing(t *testing.T, s suite) {
	result, err := s.fetch(t.Context(), s.world.Reader, Names(nil, []string{s.world.Forbidden, "env", "absent"}))
	require.NoError(t, err)
	want := map[string]string{"variable forbidden": s.refused(entry.Denied), "variable env": s.world.Variables["env"], "variable absent": "missing"}
	if !s.harness.Denies {
		want["variable forbidden"] = s.world.Variables["forbidden"]
	}
	assert.Equal(t, want, outcomes(t, result))
}
