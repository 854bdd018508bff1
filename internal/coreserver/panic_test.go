package coreserver_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// faulty is an Authenticator with a bug that one caller's token meets.
type faulty struct{ auth.Authenticator }

const cursed = "n33dle-cursed"

func (f faulty) Authenticate(ctx context.Context, token secret.Text) (auth.Caller, error) {
	if token.Reveal() == cursed {
		panic("about " + token.Reveal())
	}
	return f.Authenticator.Authenticate(ctx, token)
}

// TestAPanicStaysWithItsCall panics in a handler, in a stream and in a goroutine of a
// handler.
func TestAPanicStaysWithItsCall(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) {
		config.Authenticator = faulty{config.Authenticator}
		config.NodeBinding = coreserver.BindingOff
		config.NodeServiceAccounts = []rule.Subject{{Namespace: "leoflow", ServiceAccount: "driver"}}
	})
	good := func() error {
		_, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: named("env")})
		return err
	}
	for name, call := range map[string]func() error{
		"unary": func() error {
			_, err := c.agent().GetVariables(bearing(within(t), cursed), &agentv1.GetVariablesRequest{})
			return err
		},
		"goroutine": func() error {
			_, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token("audit"), cursed), Variables: named("env")})
			return err
		},
		"stream": func() error { return c.watchAs(bearing(within(t), cursed)) },
	} {
		err := call()
		assert.Equal(t, codes.Internal, status.Code(err), name)
		assert.Equal(t, "internal error of core; please report it with core's log", status.Convert(err).Message(), name)
		require.NoError(t, good(), name)
	}
	assert.Equal(t, 5, strings.Count(c.log.String(), `"msg":"panic"`), "two of them a second time, where strangers' headers are looked at")
	assert.Contains(t, c.log.String(), "value of type string")
	assert.Contains(t, c.log.String(), "panic_test.go")
	assert.NotContains(t, c.log.String()+c.audit.String(), "n33dle")
}
