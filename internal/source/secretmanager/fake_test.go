package secretmanager

import (
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCloud answers in memory. A session acts as what it was opened for, and its token
// is looked at each time it is used.
type fakeCloud struct {
	mu    sync.Mutex
	opens int
	calls int
	// access decides what a session gets; it may block, and is called without mu.
	access func(ctx context.Context, subject Subject, ref entry.Reference) (secret.Text, error)
}

const (
	fakeAudience   = "fake"
	fakeAnnotation = "fake/principal"
)

func (f *fakeCloud) Annotations() []string { return []string{fakeAnnotation} }

func (*fakeCloud) Close() error { return nil }

func (f *fakeCloud) Open(subject Subject) (Session, error) {
	f.mu.Lock()
	f.opens++
	f.mu.Unlock()
	if _, err := subject.Token(fakeAudience); err != nil {
		return nil, err
	}
	return fakeSession{f, subject}, nil
}

type fakeSession struct {
	cloud   *fakeCloud
	subject Subject
}

func (s fakeSession) Access(ctx context.Context, ref entry.Reference) (secret.Text, error) {
	s.cloud.mu.Lock()
	s.cloud.calls++
	s.cloud.mu.Unlock()
	return s.cloud.access(ctx, s.subject, ref)
}

func (f *fakeCloud) counted() (opens, calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opens, f.calls
}

// tells answers with everything that decides whose answer it is.
func tells(_ context.Context, subject Subject, ref entry.Reference) (secret.Text, error) {
	return secret.New(owner(subject.Pod, subject.Annotations[fakeAnnotation], ref)), nil
}

func owner(pod provider.Identity, annotation string, ref entry.Reference) string {
	return pod.Namespace + "|" + pod.ServiceAccount + "|" + annotation + "|" + ref.Role + "|" + ref.Location + "|" + ref.Name + "|" + ref.Version
}

func podOf(namespace, serviceAccount, token string) provider.Identity {
	return provider.Identity{
		Namespace: namespace, ServiceAccount: serviceAccount,
		CloudTokens: map[string]secret.Text{fakeAudience: secret.New(token), "kubelet": providertest.Token(namespace, serviceAccount, "s")},
	}
}

var aReference = entry.Reference{Cloud: "fake", Name: "s", Location: "l"}

func resolverOf(cloud *fakeCloud) *Resolver {
	return New(Config{Clouds: map[string]Cloud{"fake": cloud}})
}
