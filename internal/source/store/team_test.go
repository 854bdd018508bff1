package store

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

func TestATeamsOwnSecretComesFirst(t *testing.T) {
	held := newFakeStore(1)
	for name, value := range map[string]string{"v/blue--both": "blue", "v/both": "all", "v/shared": "all", "v/green--own": "green"} {
		held.held[name] = value
	}
	annotations := func(_ context.Context, _, account string) (map[string]string, error) {
		if account == "none" {
			return nil, nil
		}
		return map[string]string{TeamAnnotation: account}, nil
	}
	served := NewApart("fake", held, secretmanager.Config{Annotations: annotations})
	t.Cleanup(func() { assert.NoError(t, served.Close()) })
	for account, want := range map[string][]string{
		"blue":  {"blue", "all", "missing", "missing"},
		"green": {"all", "all", "green", "missing"},
		"none":  {"all", "all", "missing", "missing"},
	} {
		entries := variables(t, served, pod("ns", account), "both", "shared", "own", "green--own")
		var found []string
		for _, one := range entries {
			if one.State == entry.Delivered {
				found = append(found, one.Text.Reveal())
			} else {
				found = append(found, string(one.State))
			}
		}
		assert.Equal(t, want, found, account)
		assert.Contains(t, entries[3].Notices[0].Message, `the id has "--"`)
	}
	_, err := served.Fetch(t.Context(), pod("ns", "b;d"), providertest.Names(nil, []string{"both"}))
	require.ErrorIs(t, err, provider.ErrUnauthenticated)
	require.ErrorContains(t, err, "annotation secrets.csi.leoflow.io/team of service account ns/b;d is no team's name; correct or remove it")
	_, err = served.Fetch(t.Context(), pod("ns", "blue"), providertest.Everything())
	require.ErrorIs(t, err, provider.ErrDenied)
	require.ErrorContains(t, err, `"*" cannot be asked where teams are kept apart`)
}

// Without the setting the annotation is nobody's business, and "--" is part of an id.
func TestTeamsAreAsFarApartAsIsSet(t *testing.T) {
	held := newFakeStore(1)
	held.held["v/green--own"] = "green"
	served := New("fake", held, secretmanager.Config{Annotations: func(context.Context, string, string) (map[string]string, error) {
		return map[string]string{TeamAnnotation: "blue"}, nil
	}})
	t.Cleanup(func() { assert.NoError(t, served.Close()) })
	assert.Equal(t, "green", variables(t, served, pod("ns", "a"), "green--own")[0].Text.Reveal())
}

// prompt is a store whose calls end with their context.
type prompt struct{ Store }

func (prompt) IsPrompt() bool { return true }

func TestTeamsKeptApartChangeNothingOfHowAStoreIsCalled(t *testing.T) {
	held := newFakeStore(1)
	assert.False(t, secretmanager.IsPrompt(apart{held}))
	assert.True(t, secretmanager.IsPrompt(apart{prompt{held}}))
}
