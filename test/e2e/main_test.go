// Package e2e runs the real programs against one another: core, the driver on a real
// tmpfs, and the agent, with a stand-in for kubelet.
package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/test/stack"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

// build builds the programs once for all tests.
var build = sync.OnceValues(func() (string, error) {
	return stack.Build(filepath.Join("..", ".."), "e2e")
})

func binaries(t *testing.T) string {
	t.Helper()
	bin, err := build()
	require.NoError(t, err)
	return bin
}

const allowAll = "rules: [{tenants: ['*'], dags: ['*'], connections: ['*'], variables: ['*']}]\n"

// start starts a stack for the length of a test.
func start(t *testing.T, options stack.Options) *stack.Stack {
	t.Helper()
	options.Bin = binaries(t)
	// The stack outlives the test's context, which ends before the clean-up.
	s, err := stack.Start(context.Background(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func token(t *testing.T, s *stack.Stack, args ...string) string {
	t.Helper()
	minted, err := s.Token(t.Context(), append([]string{"--tenant=acme", "--dag=daily"}, args...)...)
	require.NoError(t, err)
	return minted
}

func pod(name, token string, attributes map[string]string) stack.Pod {
	return stack.Pod{
		Name: name, UID: "uid-" + name, Namespace: "airflow", ServiceAccount: "etl",
		Token: token, Attributes: attributes,
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

// needle is a value that stands nowhere else on this machine.
func needle() string { return "needle" + rand.Text() }

// run runs one of the programs to its end and returns all it printed.
func run(t *testing.T, program string, args ...string) (output string, err error) {
	t.Helper()
	out, err := testwait.Command(t, filepath.Join(binaries(t), program), args...).CombinedOutput()
	return string(out), err
}
