package cloudtest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

// Case is one cloud with the server that it talks to.
type Case struct {
	Cloud  secretmanager.Cloud
	Server *Server
	// Subject makes a subject of a service account, with a new pod.
	Subject func(serviceAccount string) secretmanager.Subject
	// Principal is how the server knows that service account.
	Principal func(serviceAccount string) string
	Reference entry.Reference
	// Exchanges are the steps before Access.
	Exchanges []Step
}

// failure is a fault of one step, and the kind that a Failure then has.
type failure struct {
	name             string
	fault            Fault
	exchange, access error
}

var failures = []failure{
	{"400", Fault{Status: http.StatusBadRequest}, provider.ErrUnauthenticated, nil},
	{"401", Fault{Status: http.StatusUnauthorized}, provider.ErrUnauthenticated, provider.ErrUnauthenticated},
	{"403", Fault{Status: http.StatusForbidden}, provider.ErrDenied, provider.ErrDenied},
	{"404", Fault{Status: http.StatusNotFound}, provider.ErrDenied, provider.ErrMissing},
	{"429", Fault{Status: http.StatusTooManyRequests}, provider.ErrUnavailable, provider.ErrUnavailable},
	{"500", Fault{Status: http.StatusInternalServerError}, provider.ErrUnavailable, provider.ErrUnavailable},
	{"503", Fault{Status: http.StatusServiceUnavailable}, provider.ErrUnavailable, provider.ErrUnavailable},
	{"silence", Fault{Silent: true}, provider.ErrUnavailable, provider.ErrUnavailable},
	{"half an answer", Fault{Truncated: true}, provider.ErrUnavailable, provider.ErrUnavailable},
}

// RunContract holds a cloud to what every cloud owes to the Resolver.
func RunContract(t *testing.T, setup func(t *testing.T) Case) {
	t.Run("the pod's own identity", func(t *testing.T) { ownIdentity(t, setup(t)) })
	t.Run("an exchange is made once", func(t *testing.T) { oneExchange(t, setup(t)) })
	t.Run("an expired token", func(t *testing.T) { expiredToken(t, setup(t)) })
	t.Run("no token", func(t *testing.T) { noToken(t, setup(t)) })
	t.Run("a denied and a missing secret", func(t *testing.T) { refusals(t, setup(t)) })
	t.Run("nobody is there", func(t *testing.T) { nobody(t, setup(t)) })
	for _, failure := range failures {
		t.Run("exchange/"+failure.name, func(t *testing.T) {
			c := setup(t)
			for _, step := range c.Exchanges {
				t.Run(string(step), func(t *testing.T) { fails(t, c, step, failure.fault, failure.exchange) })
			}
		})
		t.Run("access/"+failure.name, func(t *testing.T) { fails(t, setup(t), Access, failure.fault, failure.access) })
	}
}

func ownIdentity(t *testing.T, c Case) {
	for _, account := range []string{"a", "b", "a"} {
		value, err := access(t, c, c.Subject(account))
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(value, c.Principal(account)+" reads "), value)
		assert.Contains(t, value, c.Reference.Name)
	}
}

func oneExchange(t *testing.T, c Case) {
	session, err := c.Cloud.Open(c.Subject("a"))
	require.NoError(t, err)
	for range 3 {
		_, err := session.Access(t.Context(), c.Reference)
		require.NoError(t, err)
	}
	for _, step := range c.Exchanges {
		assert.Equal(t, 1, c.Server.Calls(step), step)
	}
	assert.Equal(t, 3, c.Server.Calls(Access))
}

func expiredToken(t *testing.T, c Case) {
	subject := c.Subject("a")
	c.Server.Tokens.Expire(subject.Pod)
	_, err := access(t, c, subject)
	requireFailure(t, err, provider.ErrUnauthenticated)
	var audiences []string
	for audience := range subject.Pod.CloudTokens {
		audiences = append(audiences, audience)
	}
	require.Len(t, audiences, 1)
	assert.Contains(t, err.Error(), "with a token for audience "+audiences[0]+" of issuer "+providertest.Issuer)
}

func noToken(t *testing.T, c Case) {
	subject := c.Subject("a")
	audience := ""
	for audience = range subject.Pod.CloudTokens {
		delete(subject.Pod.CloudTokens, audience)
	}
	_, err := c.Cloud.Open(subject)
	requireFailure(t, err, provider.ErrUnauthenticated)
	assert.Contains(t, err.Error(), audience)
	assert.Contains(t, err.Error(), "tokenRequests")
}

// nobody checks that a place without anybody is told from one that is silent.
func nobody(t *testing.T, c Case) {
	c.Server.Stop()
	const account = "account-of-a-tenant"
	_, err := access(t, c, c.Subject(account))
	requireFailure(t, err, provider.ErrUnavailable)
	var failure *secretmanager.Failure
	require.ErrorAs(t, err, &failure)
	assert.True(t, failure.Unreached, err)
	assert.NotContains(t, err.Error(), account, "every identity is told")
}

func refusals(t *testing.T, c Case) {
	for _, kind := range []error{provider.ErrDenied, provider.ErrMissing} {
		c.Server.Hold(func(string, string, string) (string, error) { return "", kind })
		_, err := access(t, c, c.Subject("a"))
		requireFailure(t, err, kind)
	}
}

// fails has a session meet a fault, and go on once it is mended: the Resolver keeps
// sessions, so a new one would show nothing.
func fails(t *testing.T, c Case, step Step, fault Fault, kind error) {
	session, err := c.Cloud.Open(c.Subject("a"))
	require.NoError(t, err)
	c.Server.Break(At(step, fault))
	_, err = accessBy(t, c, session)
	requireFailure(t, err, kind)
	c.Server.Mend()
	_, err = accessBy(t, c, session)
	if err != nil { // it may have joined what the SDK began before, which then has an end
		_, err = accessBy(t, c, session)
	}
	require.NoError(t, err, "a fault leaves nothing behind")
}

// At breaks one step and no other.
func At(step Step, fault Fault) func(Step) *Fault {
	return func(reached Step) *Fault {
		if reached != step {
			return nil
		}
		return &fault
	}
}

// RequestTimeout is longer than any answer on the loopback takes. The Cloud under test
// has it for its own requests.
const RequestTimeout = time.Second

func access(t *testing.T, c Case, subject secretmanager.Subject) (string, error) {
	t.Helper()
	session, err := c.Cloud.Open(subject)
	if err != nil {
		return "", err
	}
	return accessBy(t, c, session)
}

func accessBy(t *testing.T, c Case, session secretmanager.Session) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), RequestTimeout)
	defer cancel()
	value, err := session.Access(ctx, c.Reference)
	return value.Reveal(), err
}

// requireFailure checks the kind, and that neither a token nor a word of the server
// shows however the error is printed.
func requireFailure(t *testing.T, err error, kind error) {
	t.Helper()
	var failure *secretmanager.Failure
	require.ErrorAs(t, err, &failure)
	if kind == nil {
		assert.NoError(t, failure.Kind)
	} else {
		assert.ErrorIs(t, err, kind, err)
	}
	assert.Contains(t, err.Error(), "; ", "what to do")
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %#v", err, err, err, failure), "n33dle")
}
