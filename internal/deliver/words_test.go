package deliver

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// The needles of what one tenant is told and another must not be.
const (
	evilNamespace = "n33dle-of-evil"
	bankNamespace = "n33dle-of-bank"
)

// misbehaving is a source and a resolver that go wrong for one namespace, in words that name it.
type misbehaving struct {
	provider.Provider
	fetch   func(ctx context.Context, whose string) error
	state   entry.State
	resolve func(whose string) error
	begun   atomic.Bool
	vault   vault
}

func (m *misbehaving) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	entries, err := m.Provider.Fetch(ctx, pod, request)
	if pod.Namespace != evilNamespace || !m.begun.Load() {
		return entries, err
	}
	whose := "of " + pod.Namespace + "/" + pod.ServiceAccount + " and pod " + pod.PodName
	if m.fetch != nil {
		return nil, m.fetch(ctx, whose)
	}
	for i := range entries {
		if m.state != "" {
			entries[i].Refuse(m.state, whose)
		}
	}
	return entries, nil
}

// Resolve implements provider.Resolver.
func (m *misbehaving) Resolve(ctx context.Context, pod provider.Identity, ref entry.Reference) (secret.Text, error) {
	if pod.Namespace != evilNamespace || m.resolve == nil || !m.begun.Load() {
		return m.vault.Resolve(ctx, pod, ref)
	}
	return secret.Text{}, m.resolve("of " + pod.Namespace)
}

// TestNobodyIsToldOfAnotherTenant has everything go wrong for one tenant that can, and looks for its
// name in all that another is told: errors of publishes, events, health, and what the node says of
// its sources. What is everybody's, an ErrUnavailable that is not of a call, names nobody by the
// contract of sources (providertest), and here too.
func TestNobodyIsToldOfAnotherTenant(t *testing.T) {
	fails := func(format string, errs ...any) func(context.Context, string) error {
		return func(_ context.Context, whose string) error {
			return fmt.Errorf(format, append([]any{whose}, errs...)...)
		}
	}
	ofCall := func(_ context.Context, whose string) error {
		return provider.OfCall(fmt.Errorf("reading what is %s: %w", whose, provider.ErrUnavailable))
	}
	for name, source := range map[string]*misbehaving{
		"unauthenticated":   {fetch: fails("%s: %w", provider.ErrUnauthenticated)},
		"refused":           {fetch: fails("%s: %w", provider.ErrDenied)},
		"too much":          {fetch: fails("%s: %w", provider.ErrTooLarge)},
		"against the rules": {fetch: fails("%s: %w", provider.ErrProtocol)},
		"of no kind":        {fetch: fails("%s")},
		"unanswered":        {fetch: ofCall},
		"silent": {fetch: func(ctx context.Context, whose string) error {
			<-ctx.Done()
			return ofCall(ctx, whose)
		}},
		"panic":                  {fetch: func(_ context.Context, whose string) error { panic(whose) }},
		"nobody can":             {fetch: func(context.Context, string) error { return fmt.Errorf("reading: %w", provider.ErrUnavailable) }},
		"denied":                 {state: entry.Denied},
		"missing":                {state: entry.Missing},
		"invalid":                {state: entry.Invalid},
		"cannot be had now":      {state: entry.Unavailable},
		"its vault":              {resolve: func(whose string) error { return fmt.Errorf("its vault %s: %w", whose, provider.ErrUnavailable) }},
		"its vault, for a fault": {resolve: func(whose string) error { panic(whose) }},
	} {
		t.Run(name, func(t *testing.T) { tellTenants(t, source) })
	}
}

func tellTenants(t *testing.T, source *misbehaving) {
	t.Helper()
	told := &tenantDiary{diary: &diary{}}
	rotated(t, func(r *rig) {
		r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
		source.Provider = r.fake
		r.asks.Providers["core"], r.asks.Resolver, r.Recorder, r.asks.FetchTimeout = source, source, told, 10*time.Second
	}, func(t *testing.T, r *rig) {
		tenant := func(namespace, name string) Volume {
			v := r.volume(t, namespace+"-"+name)
			v.Pod.Namespace, v.Pod.ServiceAccount = namespace, namespace
			v.Connections, v.Refresh = named("warehouse", "gcs"), time.Minute
			return v
		}
		var live []Volume
		for _, namespace := range []string{evilNamespace, bankNamespace} {
			v := tenant(namespace, "live")
			require.NoError(t, r.Publish(t.Context(), v))
			live = append(live, v)
		}
		source.begun.Store(true)
		words := map[string][]string{}
		tell := func(namespace string, texts ...string) { words[namespace] = append(words[namespace], texts...) }
		const rounds = 6
		for i := range rounds {
			for _, namespace := range []string{evilNamespace, bankNamespace} {
				if err := r.Publish(t.Context(), tenant(namespace, fmt.Sprint("new-", i))); err != nil {
					tell(namespace, err.Error())
				}
			}
			time.Sleep(2 * schedule.MinStaleAfter / rounds)
			synctest.Wait()
			for _, v := range live {
				tell(v.Pod.Namespace, must(r.Health(v.ID)).Problem)
			}
			for _, text := range r.Unreachable() { // which anybody may read
				assert.NotContains(t, text, evilNamespace)
				assert.NotContains(t, text, bankNamespace)
			}
		}
		for namespace, other := range map[string]string{evilNamespace: bankNamespace, bankNamespace: evilNamespace} {
			for _, text := range append(words[namespace], told.of(namespace)...) {
				assert.NotContains(t, text, other, "told to %s", namespace)
			}
		}
		whole := strings.Join(append(words[evilNamespace], told.of(evilNamespace)...), "\n")
		assert.NotEmpty(t, strings.TrimSpace(whole), "whose trouble it is hears of it")
	})
}

// tenantDiary keeps what the pods of each namespace were told.
type tenantDiary struct{ *diary }

func (d *tenantDiary) of(namespace string) (lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, line := range d.lines {
		if strings.HasPrefix(line, namespace) { // its pods are called after it
			lines = append(lines, line)
		}
	}
	return lines
}
