package schedule

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// node is a schedule at a time that a test moves. Nothing in it is random.
type node struct {
	*Schedule
	now time.Time
}

func newNode() *node {
	none := func(time.Duration) time.Duration { return 0 }
	return &node{New(time.Minute, 5*time.Second, none), time.Unix(1_800_000_000, 0)}
}

var (
	warehouse = layout.Name{Kind: layout.Connection, ID: "warehouse"}
	region    = layout.Name{Kind: layout.Variable, ID: "region"}
)

// volume is one that wants a connection and a variable.
func (*node) volume(id string) Volume {
	return Volume{
		ID: id, Source: "core", Namespace: "airflow", Key: "airflow",
		Wanted: NewSet(nil, []layout.Name{warehouse, region}),
	}
}

// live adds volumes that were just delivered. Each is changed first.
func (n *node) live(change func(*Volume), ids ...string) {
	for _, id := range ids {
		v := n.volume(id)
		change(&v)
		n.Add(v, false)
		n.Ended(n.Begin(id, n.now), Ended{HasFiles: true, Changed: true}, n.now)
	}
}

func asItIs(*Volume) {}

// A volume is fetched as often as its ids allow, whatever its author and its source want.
func TestTheLeastRefreshGrowsWithTheIDs(t *testing.T) {
	const author = 7 * time.Second
	for _, row := range []struct {
		ids, entries                      int
		refreshed, polled, retried, stale time.Duration
	}{
		{1, 1, author, time.Minute, time.Second, MinStaleAfter},
		{100, 100, author, time.Minute, time.Second, MinStaleAfter},
		{101, 3, 10 * time.Second, time.Minute, 5 * time.Second, MinStaleAfter},
		{1000, 0, 50 * time.Second, time.Minute, 45 * time.Second, MinStaleAfter},
		{2000, 0, 100 * time.Second, 100 * time.Second, 95 * time.Second, MinStaleAfter},
		{0, 2000, 100 * time.Second, 100 * time.Second, 95 * time.Second, MinStaleAfter}, // of "*"
		{20_000, 0, 1000 * time.Second, 1000 * time.Second, 995 * time.Second, 2000 * time.Second},
	} {
		n := newNode()
		n.live(func(v *Volume) { v.IDs = row.ids }, "a")
		v := n.volumes["a"]
		v.entries = row.entries
		assert.Equal(t, row.polled, n.pause(v), row)
		n.watched["core"] = true
		assert.Equal(t, max(SafetyPoll, row.polled), n.pause(v), row)
		v.Refresh = author
		assert.Equal(t, row.refreshed, n.pause(v), row)
		v.failures = 1
		assert.Equal(t, row.retried, n.pause(v), row)
		assert.Equal(t, row.stale, n.StaleAfter(author, row.ids), row)
	}
}

func TestWhatAStarBroughtCounts(t *testing.T) {
	n := newNode()
	n.Add(n.volume("a"), false)
	n.Ended(n.Begin("a", n.now), Ended{HasFiles: true, Changed: true, Entries: 2000}, n.now)
	n.Ended(n.Begin("a", n.now), Ended{HasFiles: true, Failed: true}, n.now)
	n.volumes["a"].failures = 0
	assert.Equal(t, 100*time.Second, n.pause(n.volumes["a"]), "also after a delivery that brought none")
}

// due begins what is due.
func (n *node) due() (begun []Work, ids [][]string) {
	begun, _ = n.Due(n.now)
	for _, work := range begun {
		var group []string
		for _, one := range work {
			group = append(group, one.ID)
		}
		ids = append(ids, group)
	}
	return begun, ids
}

// run begins what is due and ends it so.
func (n *node) run(end Ended) (ids [][]string) {
	begun, ids := n.due()
	for _, work := range begun {
		for _, one := range work {
			n.Ended(one, end, n.now)
		}
	}
	return ids
}

// next moves the time to when something is due.
func (n *node) next() time.Duration {
	_, wait := n.candidates(n.now)
	for _, v := range n.volumes {
		wait = min(wait, max(0, v.due.Sub(n.now)))
	}
	n.now = n.now.Add(wait)
	return wait
}

var (
	same   = Ended{HasFiles: true}
	fresh  = Ended{HasFiles: true, Changed: true}
	failed = Ended{HasFiles: true, Failed: true}
)

func TestWhenAVolumeIsFetchedAgain(t *testing.T) {
	for name, row := range map[string]struct {
		arrange func(*node)
		change  func(*Volume)
		ends    []Ended
		want    []time.Duration // at the earliest
	}{
		"polled, and less while nothing changes": {
			ends: []Ended{same, same, same, same, fresh, same},
			want: []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute, time.Minute, 2 * time.Minute},
		},
		"with a pace of its own": {
			change: func(v *Volume) { v.Refresh = 10 * time.Second },
			ends:   []Ended{same, same},
			want:   []time.Duration{10 * time.Second, 10 * time.Second, 10 * time.Second},
		},
		"watched": {
			arrange: func(n *node) { n.WatchBegan("core") },
			ends:    []Ended{same},
			want:    []time.Duration{SafetyPoll, SafetyPoll},
		},
		"not watched any more": {
			arrange: func(n *node) { n.WatchBegan("core"); n.WatchEnded("core", false, n.now) },
			want:    []time.Duration{time.Minute},
		},
		"another source is watched": {
			arrange: func(n *node) { n.WatchBegan("vault") },
			want:    []time.Duration{time.Minute},
		},
		"failing": {
			ends: []Ended{failed, failed, failed, failed, failed, failed, failed, failed, same},
			want: []time.Duration{time.Minute, 1e9, 2e9, 4e9, 8e9, 16e9, 32e9, MaxBackoff, MaxBackoff, 2 * time.Minute},
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode()
			if row.arrange != nil {
				row.arrange(n)
			}
			if row.change == nil {
				row.change = asItIs
			}
			n.live(row.change, "a")
			for i, want := range row.want {
				_, ids := n.due()
				require.Empty(t, ids)
				_, wait := n.Due(n.now)
				require.Equal(t, want-want/10, wait, i)
				n.now = n.now.Add(wait)
				if i < len(row.ends) {
					require.Equal(t, [][]string{{"a"}}, n.run(row.ends[i]))
				}
			}
		})
	}
}

func TestJitterLiesAroundThePause(t *testing.T) {
	n := newNode()
	n.live(asItIs, "least")
	n.Random = func(below time.Duration) time.Duration { return below - 1 }
	n.live(asItIs, "most")
	assert.Equal(t, 54*time.Second, n.volumes["least"].due.Sub(n.now))
	assert.Equal(t, 66*time.Second, n.volumes["most"].due.Sub(n.now))
	assert.Equal(t, 54*time.Second, n.volumes["most"].earliest.Sub(n.now))
}

func TestWhichVolumesShareACall(t *testing.T) {
	other := func(v *Volume) { v.Key = "other" }
	for name, row := range map[string]struct {
		arrange func(*node)
		want    [][]string
	}{
		"those of one key":                 {func(n *node) { n.live(asItIs, "b", "a") }, [][]string{{"a", "b"}}},
		"those of two do not":              {func(n *node) { n.live(asItIs, "a"); n.live(other, "b") }, [][]string{{"a"}, {"b"}}},
		"not without files":                {func(n *node) { n.live(asItIs, "a"); n.Add(n.volume("new"), false) }, [][]string{{"a"}}},
		"not one that lost it":             {func(n *node) { n.live(asItIs, "a", "b"); n.LostFiles("b") }, [][]string{{"a"}}},
		"not one under way":                {func(n *node) { n.live(asItIs, "a", "b"); n.Begin("b", n.now) }, [][]string{{"a"}}},
		"not one that is gone":             {func(n *node) { n.live(asItIs, "a", "b"); n.Remove("b") }, [][]string{{"a"}}},
		"one of a process before this one": {func(n *node) { n.Add(n.volume("a"), true) }, [][]string{{"a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode()
			row.arrange(n)
			n.now = n.now.Add(time.Hour)
			_, ids := n.due()
			assert.Equal(t, row.want, ids)
		})
	}
}

func TestTheOneThatWaitsLongestIsFirst(t *testing.T) {
	n := newNode()
	for i, id := range []string{"c", "a", "b"} {
		n.now = n.now.Add(time.Duration(i) * time.Second)
		n.live(func(v *Volume) { v.Key = id }, id)
	}
	n.now = n.now.Add(time.Hour)
	_, ids := n.due()
	assert.Equal(t, [][]string{{"c"}, {"a"}, {"b"}}, ids)
}

func TestVolumesAlikeGoAlongFromTheirEarliestOn(t *testing.T) {
	n := newNode()
	n.Random = func(below time.Duration) time.Duration { return below - 1 }
	n.live(asItIs, "a")
	n.now = n.now.Add(10 * time.Second)
	n.live(asItIs, "b", "c")
	n.volumes["c"].earliest = n.volumes["c"].due
	n.now = n.volumes["a"].due
	_, ids := n.due()
	assert.Equal(t, [][]string{{"a", "b"}}, ids)
}

func TestWhomAChangeConcerns(t *testing.T) {
	all := func(kind layout.Kind) func(*Volume) {
		return func(v *Volume) { v.Wanted = NewSet([]layout.Kind{kind}, nil) }
	}
	many := func(v *Volume) {
		names := []layout.Name{region}
		for i := range 100 {
			names = append(names, layout.Name{Kind: layout.Connection, ID: fmt.Sprint(i)})
		}
		v.Wanted = NewSet(nil, names)
	}
	entries := func(names ...layout.Name) Change { return Change{Entries: names} }
	crowd := []layout.Name{{Kind: layout.Connection, ID: "x"}, {Kind: layout.Connection, ID: "y"}}
	for name, row := range map[string]struct {
		change func(*Volume)
		news   Change
		source string
		want   bool
	}{
		"everybody":             {asItIs, Change{All: true}, "core", true},
		"another source":        {asItIs, Change{All: true}, "vault", false},
		"one of its names":      {asItIs, entries(region), "core", true},
		"one among many":        {asItIs, entries(append(crowd, warehouse)...), "core", true},
		"none of its names":     {asItIs, entries(crowd...), "core", false},
		"the other kind":        {asItIs, entries(layout.Name{Kind: layout.Variable, ID: "warehouse"}), "core", false},
		"of many names":         {many, entries(region), "core", true},
		"of many names, none":   {many, entries(warehouse), "core", false},
		"all of the kind":       {all(layout.Connection), entries(warehouse), "core", true},
		"all of the other kind": {all(layout.Variable), entries(warehouse), "core", false},
		"its namespace":         {asItIs, Change{Namespace: "airflow", Entries: []layout.Name{region}}, "core", true},
		"another namespace":     {asItIs, Change{Namespace: "bank", Entries: []layout.Name{region}}, "core", false},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode()
			n.live(row.change, "a")
			n.changed(row.source, row.news, 0, n.now)
			begun, ids := n.due()
			require.Equal(t, row.want, len(ids) == 1)
			if row.want {
				assert.True(t, begun[0][0].Changed)
				assert.Equal(t, row.news.All, begun[0][0].NotifiedAt.IsZero(), "nobody knows when a gap's changes were")
			}
		})
	}
}

func TestWhatAWatchBringsAbout(t *testing.T) {
	for name, row := range map[string]struct {
		tell    func(*node)
		within  time.Duration // 0 for not at all
		watched bool
	}{
		"it begins":            {func(n *node) { n.WatchBegan("core") }, 0, true},
		"it tells of an entry": {func(n *node) { n.Notified("core", Change{Entries: []layout.Name{region}}, n.now) }, 1, true},
		"it tells of a gap":    {func(n *node) { n.Notified("core", Change{All: true}, n.now) }, ResyncSpread + 1, true},
		"it ends":              {func(n *node) { n.WatchEnded("core", true, n.now) }, time.Minute + 1, false},
		"it is refused again":  {func(n *node) { n.WatchEnded("core", false, n.now) }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode()
			n.live(asItIs, "a")
			within := time.Duration(0)
			n.Random = func(below time.Duration) time.Duration { within = below; return 0 }
			row.tell(n)
			assert.Equal(t, row.within, within)
			assert.Equal(t, row.watched, n.watched["core"])
			_, ids := n.due()
			assert.Equal(t, row.within > 0, len(ids) == 1)
		})
	}
}

func TestNewsThatComeDuringADeliveryAreNotLost(t *testing.T) {
	n := newNode()
	n.live(asItIs, "a")
	n.changed("core", Change{All: true}, 0, n.now)
	begun, _ := n.due()
	n.changed("core", Change{Entries: []layout.Name{region}}, 0, n.now)
	_, ids := n.due()
	require.Empty(t, ids, "it is under way")
	n.Ended(begun[0][0], fresh, n.now)
	_, ids = n.due()
	assert.Equal(t, [][]string{{"a"}}, ids)
}

func TestVolumesAlikeShareTheTimeThatTheyAreSpreadOver(t *testing.T) {
	n := newNode()
	n.live(asItIs, "a", "b")
	n.live(func(v *Volume) { v.Key = "other" }, "c")
	drawn := time.Duration(0)
	n.Random = func(below time.Duration) time.Duration {
		assert.Equal(t, ResyncSpread+1, below)
		drawn += time.Second
		return drawn
	}
	n.changed("core", Change{All: true}, ResyncSpread, n.now)
	assert.Equal(t, 2*time.Second, drawn)
	assert.Equal(t, n.volumes["a"].due, n.volumes["b"].due)
	assert.NotEqual(t, n.volumes["a"].due, n.volumes["c"].due)
}

func TestNewsThatChangeNothingAreDebounced(t *testing.T) {
	n := newNode()
	n.live(asItIs, "a")
	news := func(end Ended) time.Duration {
		n.changed("core", Change{All: true}, 0, n.now)
		waited := n.next()
		require.Equal(t, [][]string{{"a"}}, n.run(end))
		return waited
	}
	var waits []time.Duration
	for range 9 {
		waits = append(waits, news(same).Round(time.Millisecond))
	}
	ms := time.Millisecond
	assert.Equal(t, []time.Duration{0, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, MaxDebounce}, waits)
	news(fresh)
	n.now = n.now.Add(MaxDebounce)
	news(same)
	assert.Equal(t, 10*ms, news(same), "one that changes something counts from the beginning")
}

func TestAnUpdateMakesDueWhatHasReasonToBe(t *testing.T) {
	for name, row := range map[string]struct {
		end   Ended
		other bool
		want  bool
	}{
		"the same again":     {fresh, false, false},
		"it asks for else":   {fresh, true, true},
		"it failed the last": {failed, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode()
			n.live(asItIs, "a")
			n.Ended(n.Begin("a", n.now), row.end, n.now)
			n.Update(n.volume("a"), row.other)
			_, ids := n.due()
			assert.Equal(t, row.want, len(ids) == 1)
		})
	}
}

func TestAVolumeThatWasReplacedIsNotTheOldOne(t *testing.T) {
	n := newNode()
	n.live(asItIs, "a")
	old := n.Begin("a", n.now)
	n.Remove("a")
	n.Add(n.volume("a"), false)
	n.Ended(old, fresh, n.now)
	n.now = n.now.Add(time.Hour)
	_, ids := n.due()
	assert.Empty(t, ids, "the new one waits for its publish")
	assert.Greater(t, n.Begin("a", n.now).Number, old.Number)

	n.Remove("a")
	n.Ended(n.Begin("a", n.now), fresh, n.now) // an unpublish came first
	_, ids = n.due()
	assert.Empty(t, ids)
}

// largeNode has volumes of a thousand ids each, and a change of 50,000 of which they want
// the last.
func largeNode() (*node, Change) {
	n := newNode()
	var change Change
	for i := range 50_000 {
		change.Entries = append(change.Entries, layout.Name{Kind: layout.Variable, ID: fmt.Sprint("key", i)})
	}
	for i := range 100 {
		n.live(func(v *Volume) {
			names := []layout.Name{change.Entries[len(change.Entries)-1]}
			for j := range 999 {
				names = append(names, layout.Name{Kind: layout.Variable, ID: fmt.Sprint("own", i, "of", j)})
			}
			v.Key, v.Wanted = fmt.Sprint(i), NewSet(nil, names)
		}, fmt.Sprint(i))
	}
	return n, change
}

func TestAChangeOfManyEntriesIsLookedUp(t *testing.T) {
	n, change := largeNode()
	began := time.Now()
	n.changed("core", change, 0, n.now)
	assert.Less(t, time.Since(began), time.Second, "five thousand million comparisons of ids by ids take longer")
	work, _ := n.due()
	assert.Len(t, work, 100)
}

func BenchmarkChangeOfManyEntries(b *testing.B) {
	n, change := largeNode()
	for b.Loop() {
		n.changed("core", change, 0, n.now)
	}
}

func BenchmarkChangeOfOneEntry(b *testing.B) {
	n, change := largeNode()
	change.Entries = change.Entries[:1]
	for b.Loop() {
		n.changed("core", change, 0, n.now)
	}
}

// Due is called whenever a delivery ends: what it allocates must not grow with the node.
func TestALookAtWhatIsDueAllocatesLittle(t *testing.T) {
	n := newNode()
	for i := range 880 { // 110 volumes of eight sources
		n.live(func(v *Volume) { v.Key, v.Source = fmt.Sprint(i%88), fmt.Sprint("source", i%8) }, fmt.Sprint(i))
	}
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { n.Due(n.now) }), 20.0)
}

func BenchmarkDue(b *testing.B) {
	n, _ := largeNode()
	for b.Loop() {
		n.Due(n.now)
	}
}

var errAway = errors.New("away")
