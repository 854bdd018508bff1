package fetch

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// accounts say of every pod the same, or fail, or panic, or do not answer.
type accounts struct {
	mu    sync.Mutex
	asked int
	err   error
	text  string
	// isAway is of an API server that does not answer, whichever cloud it is asked for.
	isAway bool
}

func (a *accounts) HasIdentity(cloud string) bool { return cloud == "aws" || a.isAway }

func (a *accounts) Identity(ctx context.Context, _ provider.Identity, _ string) (layout.Identity, string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if a.isAway {
		<-ctx.Done()
		return layout.Identity{}, "", provider.ErrUnavailable
	}
	if a.text == "panic" {
		panic("no account")
	}
	return layout.NewIdentity("aws", "sts.amazonaws.com", true), a.text, a.err
}

func keyless(known *accounts) *rig {
	r := newRig(func(c *Config) { c.Identities = known })
	r.fake.SetConnection(airflow.Connection{ID: "aws_default", Type: "aws"})
	r.fake.SetConnection(airflow.Connection{ID: "gcp_default", Type: "google_cloud_platform"})
	return r
}

func keylessWork(volumes int) seam.Work {
	made := work(volumes)
	made.Request = call.Request{Connections: call.Selection{Names: []string{"aws_default", "gcp_default"}}, MaxBytes: 1 << 20}
	return made
}

func TestAnAnswerHasTheIdentitiesOfWhichItsEntriesSpeak(t *testing.T) {
	known := &accounts{text: "[default]\n"}
	r, got := keyless(known), &basket{}
	require.NoError(t, r.Fetch(t.Context(), keylessWork(3), got))
	require.Len(t, got.answers, 3)
	for _, answer := range got.answers {
		require.NoError(t, answer.Err)
		require.Len(t, answer.Identities, 1)
		assert.Equal(t, "aws", answer.Entries[0].Identity)
		assert.Empty(t, answer.Entries[1].Identity, "its cloud is not enabled")
		assert.Empty(t, answer.Entries[1].Notices)
	}
	assert.Equal(t, 1, known.asked, "pods of one call are of one service account")
}

func TestAnIdentityThatCannotBeHadIsSaid(t *testing.T) {
	for name, row := range map[string]struct {
		*accounts
		state  layout.State
		code   string
		reason string
	}{
		"away":   {&accounts{err: provider.ErrUnavailable, text: "x"}, entry.Unavailable, "unavailable", "finding the pod's identity at aws: " + provider.ErrUnavailable.Error()},
		"none":   {&accounts{err: provider.ErrNoIdentity, text: "x"}, entry.Delivered, "no-identity", provider.ErrNoIdentity.Error()},
		"bad":    {&accounts{err: errors.New("no ARN"), text: "x"}, entry.Delivered, "bad-identity", "no ARN"},
		"a book": {&accounts{text: strings.Repeat("x", seam.MostIdentityText+1)}, entry.Delivered, "bad-identity", "its configuration is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			got := &basket{}
			require.NoError(t, keyless(row.accounts).Fetch(t.Context(), keylessWork(2), got))
			for _, answer := range got.answers {
				require.NoError(t, answer.Err)
				assert.Empty(t, answer.Identities)
				line := answer.Entries[0]
				assert.Empty(t, line.Identity)
				assert.Equal(t, row.state, line.State)
				require.Len(t, line.Notices, 1)
				assert.Equal(t, layout.Notice{Code: row.code, Message: row.reason}, line.Notices[0])
			}
		})
	}
}

func TestAPanicOverAnIdentityEndsItsAnswerAlone(t *testing.T) {
	r, got := keyless(&accounts{text: "panic"}), &basket{}
	r.fake.Deny("etl", layout.Name{Kind: layout.Connection, ID: "gcp_default"})
	require.NoError(t, r.Fetch(t.Context(), keylessWork(2), got))
	require.Len(t, got.answers, 2)
	for _, answer := range got.answers {
		require.ErrorIs(t, answer.Err, report.ErrPanic)
		require.Len(t, answer.Entries, 1, "what was taken away")
		assert.Equal(t, layout.Denied, answer.Entries[0].State)
	}
}

// What is taken away leaves at once, also while the API server does not say how the pod shows itself to the
// clouds of the other connections; and these do not add up.
func TestIdentitiesKeepNoWithdrawal(t *testing.T) {
	for name, row := range map[string]struct {
		denied bool
		shown  []seam.Shown
		want   time.Duration
	}{
		"something leaves, as listed":                 {true, nil, haste},
		"something leaves, of which the volume tells": {true, []seam.Shown{{Name: connectionName("warehouse")}}, haste},
		"nothing leaves":                              {false, nil, patience},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, got := keyless(&accounts{isAway: true}), &basket{}
				work := keylessWork(1)
				work.Connections.Names = append(work.Connections.Names, "warehouse")
				work.Volumes[0].Shown = row.shown
				if row.denied {
					r.fake.Deny("etl", connectionName("warehouse"))
				}
				begun := time.Now()
				require.NoError(t, r.Fetch(t.Context(), work, got))
				assert.Equal(t, row.want, time.Since(begun))
				states := map[string]layout.State{}
				for _, e := range got.answers[0].Entries {
					states[e.ID] = e.State
				}
				assert.Equal(t, entry.Unavailable, states["aws_default"])
				assert.Equal(t, row.denied, states["warehouse"] == layout.Denied)
			})
		})
	}
}
