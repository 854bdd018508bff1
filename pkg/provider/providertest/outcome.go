package providertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// outcomes is what became of each name: its content or its state. It fails where a name
// comes twice, or an entry has what is not for its state.
func outcomes(t *testing.T, entries []entry.Entry) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, one := range entries {
		name := string(one.Kind) + " " + one.ID
		_, twice := found[name]
		assert.False(t, twice, "%s comes twice", name)
		delivered := one.State == entry.Delivered
		assert.Equal(t, delivered, one.Version != "", "the version of %s", name)
		assert.Nil(t, one.Reference, name)
		assert.Empty(t, one.Env+one.File+one.Source+string(one.Value)+string(one.JSON), name)
		switch {
		case !delivered:
			assert.Equal(t, airflow.Connection{}, one.Connection, name)
			assert.Zero(t, one.Text.Len(), name)
			found[name] = string(one.State)
		case one.Kind == entry.Connection:
			assert.Equal(t, one.ID, one.Connection.ID)
			found[name] = reveal(one.Connection)
		default:
			found[name] = one.Text.Reveal()
		}
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
	for _, sentinel := range []error{provider.ErrUnavailable, provider.ErrUnauthenticated, provider.ErrDenied, provider.ErrProtocol, provider.ErrTooLarge} {
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

// Refused are the entries that have no value.
func Refused(entries []entry.Entry) []entry.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(one entry.Entry) bool { return one.State == entry.Delivered })
}
