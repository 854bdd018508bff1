package providertest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// outcomes is what became of each name: its content or its refusal. It fails where a
// name comes twice.
func outcomes(t *testing.T, result provider.Result) map[string]string {
	t.Helper()
	found := map[string]string{}
	add := func(kind provider.Kind, id, outcome string) {
		name := string(kind) + " " + id
		_, twice := found[name]
		assert.False(t, twice, "%s comes twice", name)
		found[name] = outcome
	}
	for _, entry := range result.Connections {
		add(provider.Connection, entry.Connection.ID, reveal(entry.Connection))
	}
	for _, entry := range result.Variables {
		add(provider.Variable, entry.Key, entry.Value.Reveal())
	}
	for _, refusal := range result.Refusals {
		add(refusal.Name.Kind, refusal.Name.ID, string(refusal.Reason))
	}
	return found
}

// reveal spells a connection out, absent fields as "absent".
func reveal(connection airflow.Connection) string {
	return fmt.Sprint(connection.ID, "|", connection.Type,
		"|", spell(connection.Description), "|", spell(connection.Host), "|", spell(connection.Login),
		"|", spell(connection.Password), "|", spell(connection.Schema), "|", spell(connection.Port), "|", spell(connection.Extra))
}

func spell[T any](field *T) string {
	if field == nil {
		return "absent"
	}
	if text, ok := any(*field).(secret.Text); ok {
		return fmt.Sprintf("%q", text.Reveal())
	}
	return fmt.Sprintf("%#v", *field)
}

func sentinelsOf(err error) []error {
	var found []error
	for _, sentinel := range []error{provider.ErrUnavailable, provider.ErrUnauthenticated, provider.ErrDenied, provider.ErrProtocol} {
		if errors.Is(err, sentinel) {
			found = append(found, sentinel)
		}
	}
	return found
}

// requireSentinel: an error tells whose turn it is, and of one party only.
func requireSentinel(t *testing.T, err, want error) {
	t.Helper()
	require.Equal(t, []error{want}, sentinelsOf(err), "got %v", err)
}
