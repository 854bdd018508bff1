package deliver

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// crooked is a source that answers what it must not, once spoil is set.
type crooked struct {
	*providertest.Fake
	spoil func([]provider.Outcome) []provider.Outcome
}

func (c *crooked) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	made := c.Fake.FetchGroup(ctx, []provider.Identity{pod}, request)
	if c.spoil != nil {
		made[0].Entries = c.spoil(made)[0].Entries
	}
	return made[0].Entries, made[0].Err
}

func (c *crooked) FetchGroup(ctx context.Context, pods []provider.Identity, request provider.Request) []provider.Outcome {
	made := c.Fake.FetchGroup(ctx, pods, request)
	if c.spoil != nil {
		made = c.spoil(made)
	}
	return made
}

// What a source owes a volume is not taken from it: neither when it says too little, nor too much.
func TestASourceThatAnswersTooLittleOrTooMuch(t *testing.T) {
	each := func(change func([]entry.Entry) []entry.Entry) func([]provider.Outcome) []provider.Outcome {
		return func(made []provider.Outcome) []provider.Outcome {
			for i := range made {
				made[i].Entries = change(made[i].Entries)
			}
			return made
		}
	}
	for name, row := range map[string]struct {
		spoil   func([]provider.Outcome) []provider.Outcome
		problem string
		// group is set if it is of several pods alone, reason why a new volume is not made.
		group  bool
		reason report.Reason
	}{
		"no outcome": {func([]provider.Outcome) []provider.Outcome { return nil }, "source core gave 0 answers for 2 pods", true, 0},
		"too few outcomes": {func(made []provider.Outcome) []provider.Outcome { return made[1:] },
			"source core gave 1 answers for 2 pods", true, 0},
		"too many outcomes": {func(made []provider.Outcome) []provider.Outcome { return append(made, made...) },
			"source core gave 4 answers for 2 pods", true, 0},
		"an entry too few": {each(func(entries []entry.Entry) []entry.Entry { return entries[:1] }),
			`variable "region" cannot be completed now: source core did not answer for it`, false, report.Unavailable},
		"no entry": {each(func([]entry.Entry) []entry.Entry { return nil }),
			"source core did not answer for it", false, report.Unavailable},
		"one twice": {each(func(entries []entry.Entry) []entry.Entry { return append(entries, entries[0]) }),
			"answered for more than it was asked for", false, report.Internal},
		"another's": {each(func(entries []entry.Entry) []entry.Entry {
			return append(entries, entry.OfVariable("payroll", secret.New("n33dle"), "1"))
		}), "answered for more than it was asked for", false, report.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			source := &crooked{Fake: r.fake}
			r.asks.Providers["core"] = source
			volumes := []Volume{r.volume(t, "a"), r.volume(t, "b")}
			for _, v := range volumes {
				require.NoError(t, r.Publish(t.Context(), v))
			}
			source.spoil = row.spoil
			r.look(t)
			for _, v := range volumes {
				assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
				assert.Equal(t, "north", read(t, v, "variables/region"))
				assert.NoFileExists(t, v.TargetPath+"/variables/payroll")
				assert.Contains(t, must(r.Health(v.ID)).Problem, row.problem)
			}
			if !row.group {
				err := r.Publish(t.Context(), r.volume(t, "new"))
				assert.Equal(t, row.reason, reasonOf(t, err))
				assert.Contains(t, err.Error(), row.problem)
			}
			assert.Zero(t, r.Memory().HeldWork)
			assert.NotContains(t, r.log.String(), "panic")
		})
	}
}

// sharing gives all pods of a group the same entries, as the contract allows, and keeps them.
type sharing struct {
	*providertest.Fake
	most  int
	given [][]entry.Entry
	asked [][]entry.Entry
}

func (s *sharing) FetchGroup(ctx context.Context, pods []provider.Identity, request provider.Request) []provider.Outcome {
	if len(request.Connections.Names)+len(request.Variables.Names) > s.most {
		return slices.Repeat([]provider.Outcome{{Err: provider.ErrTooLarge}}, len(pods))
	}
	made := s.Fake.FetchGroup(ctx, pods[:1], request)[0]
	made.Entries = append(make([]entry.Entry, 0, len(made.Entries)+8), made.Entries...) // an append would write into it
	s.given, s.asked = append(s.given, made.Entries[:cap(made.Entries)]), append(s.asked, cloned(made.Entries[:cap(made.Entries)]))
	return slices.Repeat([]provider.Outcome{made}, len(pods))
}

func cloned(entries []entry.Entry) []entry.Entry {
	made := make([]entry.Entry, len(entries))
	for i, e := range entries {
		made[i] = e.Clone()
	}
	return made
}

// One pod's policy, references, rendering, merged parts and lack of room change nothing of what
// another pod of the group is given.
func TestNoPodChangesWhatAnotherIsGiven(t *testing.T) {
	for name, row := range map[string]struct {
		most int
		size int64
	}{"whole": {10, megabyte}, "in parts": {1, megabyte}, "without room": {1, 8}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			source := &sharing{Fake: r.fake, most: 10}
			r.asks.Providers["core"], r.asks.Resolver = source, &vault{key: `{"type":"service_account"}`}
			r.fake.SetConnection(gcp(`{"keyfile_dict":"{}","project":"p"}`))
			r.fake.SetConnection(airflow.Connection{ID: "broken", Type: "postgres", Extra: new(secret.New("{}"))})
			volumes := []Volume{r.volume(t, "a"), r.volume(t, "b"), r.volume(t, "c")}
			for i, v := range volumes {
				v.Connections = named("gcs", "warehouse", "broken")
				v.Pod.ServiceAccount = "etl"
				volumes[i] = v
				require.NoError(t, r.Publish(t.Context(), v))
			}
			r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
			r.fake.SetConnection(warehouse("second"))
			r.fake.Break(variableName("region"), "its seal is broken")
			source.most, r.VolumeSize = row.most, row.size
			source.given, source.asked = nil, nil
			r.look(t)
			require.NotEmpty(t, source.given)
			for i := range source.given {
				for at := range source.given[i] {
					assert.True(t, assert.ObjectsAreEqual(source.asked[i][at], source.given[i][at]), "%v was changed", source.asked[i][at])
				}
			}
			want := read(t, volumes[0], "airflow/connections.json")
			for _, v := range volumes[1:] {
				assert.Equal(t, want, read(t, v, "airflow/connections.json"))
			}
			assert.Zero(t, r.Memory().HeldWork)
		})
	}
}
