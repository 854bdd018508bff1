package providertest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fakeOf(world providertest.World) *providertest.Fake {
	fake := providertest.NewFake()
	for _, connection := range world.Connections {
		fake.SetConnection(connection)
	}
	for key, value := range world.Variables {
		fake.SetVariable(key, value)
	}
	fake.Break(entry.Name{Kind: entry.Connection, ID: world.Broken}, "its extra is not JSON")
	fake.Deny(world.Reader.ServiceAccount, entry.Name{Kind: entry.Variable, ID: world.Forbidden})
	fake.RefuseToken(world.Stranger.Token)
	return fake
}

func TestFakeKeepsTheContract(t *testing.T) {
	providertest.Run(t, providertest.Harness{
		Authenticates: true,
		Denies:        true,
		Serve: func(t *testing.T, world providertest.World) providertest.Source {
			fake := fakeOf(world)
			return providertest.Source{
				Provider:    fake,
				SetVariable: fake.SetVariable,
				Freeze:      func() { t.Cleanup(fake.Block()) },
				Break:       func() { fake.Fail(fmt.Errorf("asking the fake: %w", provider.ErrUnavailable)) },
			}
		},
	})
}

func TestFakeWithoutWatch(t *testing.T) {
	fake := providertest.NewFake()
	fake.WithoutWatch()
	require.ErrorIs(t, fake.Watch(t.Context(), func(provider.Change) {}), provider.ErrWatchUnsupported)
}

func TestFakeBlocksUntilReleased(t *testing.T) {
	world := providertest.NewWorld()
	fake := fakeOf(world)
	release := fake.Block()
	done := make(chan error, 1)
	go func() {
		_, err := fake.Fetch(t.Context(), world.Reader, providertest.Everything())
		done <- err
	}()
	require.Eventually(t, func() bool { return len(fake.Calls()) > 0 }, testwait.Limit, time.Millisecond)
	require.Empty(t, done, "fetch waits")
	failure := errors.New("late")
	fake.Fail(failure)
	release()
	require.ErrorIs(t, testwait.Receive(t, done), failure)
	assert.Equal(t, world.Reader, fake.Calls()[0].Pods[0])
}
