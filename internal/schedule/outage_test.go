package schedule

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// call makes one for a namespace, if it is let through.
func (n *node) call(namespace string, verdict outage.Verdict) (made, news bool) {
	admitted, err := n.Admit("core", namespace, true, n.now)
	if err != nil {
		return false, false
	}
	return true, n.Called(admitted, verdict, fmt.Errorf("%w for %s", errAway, namespace), n.now)
}

func (n *node) isAway(source string) bool {
	away, _ := n.Away(source, n.now)
	return away
}

func TestWhoseAnOutageIs(t *testing.T) {
	for name, row := range map[string]struct {
		verdict                     outage.Verdict
		news, ours, theirs, another bool // who cannot ask
	}{
		"answered":    {verdict: outage.Answered},
		"given up":    {verdict: outage.Undecided},
		"unreachable": {outage.Unreachable, true, true, true, false},
		"unanswered":  {outage.Unanswered, true, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode()
			made, news := n.call("ours", row.verdict)
			require.True(t, made)
			assert.Equal(t, row.news, news)
			for namespace, away := range map[string]bool{"ours": row.ours, "theirs": row.theirs} {
				assert.Equal(t, away, n.WhyAway("core", namespace, n.now) != nil, namespace)
				_, err := n.Admit("core", namespace, true, n.now)
				assert.Equal(t, away, err != nil, namespace)
			}
			assert.Equal(t, row.another, n.WhyAway("vault", "ours", n.now) != nil)
		})
	}
}

// Every call of the namespace "slow" runs into its time limit, and every other pod starts.
func TestASlowNamespaceHoldsUpNoOther(t *testing.T) {
	n := newNode()
	for range 100 {
		slow, err := n.Admit("core", "slow", true, n.now)
		for range 20 { // meanwhile
			n.now = n.now.Add(UrgentPause)
			made, news := n.call("bank", outage.Answered)
			require.True(t, made)
			require.False(t, news)
			require.NoError(t, n.WhyAway("core", "bank", n.now))
		}
		if err == nil {
			n.Called(slow, outage.Unanswered, errAway, n.now)
		}
		require.False(t, n.isAway("core"), "others were answered since")
	}
}

func TestASourceIsAwayWhereNobodyIsAnswered(t *testing.T) {
	n := newNode()
	n.call("a", outage.Answered)
	n.now = n.now.Add(time.Second)
	n.call("a", outage.Unanswered)
	require.True(t, n.isAway("core"), "as far as this node knows")
	require.False(t, n.isAway("vault"))
	n.now = n.now.Add(time.Second)
	n.call("b", outage.Answered)
	require.False(t, n.isAway("core"))
	require.Error(t, n.WhyAway("core", "a", n.now))
	require.NoError(t, n.WhyAway("core", "b", n.now))
}

func TestOneCallAtATimeProbes(t *testing.T) {
	n := newNode()
	n.call("a", outage.Unreachable)
	_, err := n.Admit("core", "b", true, n.now)
	require.EqualError(t, err, "away for a")
	_, err = n.Admit("core", "b", false, n.now.Add(UrgentPause-1))
	require.Error(t, err)
	n.now = n.now.Add(UrgentPause)
	probe, err := n.Admit("core", "b", true, n.now)
	require.NoError(t, err)
	assert.True(t, probe.IsProbe())
	_, err = n.Admit("core", "b", true, n.now.Add(time.Hour))
	require.Error(t, err, "a probe of its own is under way")
	_, err = n.Admit("core", "c", true, n.now)
	require.Error(t, err, "another's began just now")

	n.Called(probe, outage.Undecided, nil, n.now)
	probe, err = n.Admit("core", "c", true, n.now)
	require.NoError(t, err, "one that found nothing out is followed by another at once")
	assert.True(t, n.Called(probe, outage.Answered, nil, n.now), "it is over")
	other, err := n.Admit("core", "d", false, n.now)
	require.NoError(t, err)
	assert.False(t, other.IsProbe())
}

// TestAProbeThatHangsIsItsNamespacesAlone has it be that of a live volume of one namespace, and of
// a new pod.
func TestAProbeThatHangsIsItsNamespacesAlone(t *testing.T) {
	for _, urgent := range []bool{true, false} {
		n := newNode()
		n.live(func(v *Volume) { v.Namespace, v.Key = "evil", "evil" }, "evil-1", "evil-2", "evil-3")
		n.live(func(v *Volume) { v.Namespace, v.Key = "bank", "bank" }, "bank")
		n.call("bank", outage.Unreachable)
		n.now = n.now.Add(time.Minute)
		_, err := n.Admit("core", "evil", urgent, n.now)
		require.NoError(t, err)
		n.now = n.now.Add(MaxBackoff)
		_, due := n.due()
		assert.Equal(t, [][]string{{"bank"}}, due, "evil finds out already")
		made, news := n.call("bank", outage.Answered)
		assert.True(t, made)
		assert.True(t, news)
	}
}

// A connection that is there again, and a call that is slow.
func TestAProbeMayFindAnotherOutage(t *testing.T) {
	n := newNode()
	n.call("a", outage.Unreachable)
	n.now = n.now.Add(UrgentPause)
	made, news := n.call("b", outage.Unanswered)
	require.True(t, made)
	assert.True(t, news)
	assert.NoError(t, n.WhyAway("core", "a", n.now))
	assert.EqualError(t, n.WhyAway("core", "b", n.now), "away for b")

	n.now = n.now.Add(UrgentPause)
	made, news = n.call("b", outage.Unreachable)
	require.True(t, made)
	assert.True(t, news)
	assert.Error(t, n.WhyAway("core", "a", n.now))
	n.now = n.now.Add(UrgentPause)
	made, _ = n.call("b", outage.Answered)
	require.True(t, made, "neither waits for the other's probe")
	assert.NoError(t, n.WhyAway("core", "b", n.now))
}

func TestACallFromBeforeAnOutageAddsNothingToIt(t *testing.T) {
	for _, verdict := range []outage.Verdict{outage.Unreachable, outage.Unanswered} {
		n := newNode()
		late, err := n.Admit("core", "a", true, n.now)
		require.NoError(t, err)
		n.call("a", verdict)
		left, away := n.outages.Wait(of("core", map[outage.Verdict]string{outage.Unreachable: "", outage.Unanswered: "a"}[verdict]), "airflow", n.now)
		require.True(t, away)
		n.now = n.now.Add(left)
		assert.False(t, n.Called(late, verdict, errAway, n.now))
		_, err = n.Admit("core", "a", false, n.now)
		assert.NoError(t, err)
	}
}

// probes are how long after an outage began live volumes look into it.
func (n *node) probes(t *testing.T, verdict outage.Verdict, count int) (waits []time.Duration) {
	t.Helper()
	for range count {
		work, wait := n.Due(n.now)
		require.Empty(t, work)
		waits = append(waits, wait)
		n.now = n.now.Add(wait)
		work, _ = n.Due(n.now)
		require.Len(t, work, 1, "one call finds out, whoever waits")
		call, err := n.Admit("core", n.volumes[work[0][0].ID].Namespace, false, n.now)
		require.NoError(t, err)
		n.Called(call, verdict, errAway, n.now)
		for _, one := range work[0] {
			n.Ended(one, failed, n.now)
		}
	}
	return waits
}

func TestLiveVolumesProbeLessAndLess(t *testing.T) {
	for _, verdict := range []outage.Verdict{outage.Unreachable, outage.Unanswered} {
		n := newNode()
		n.live(func(v *Volume) { v.Key = v.ID }, "a", "b", "c")
		call, err := n.Admit("core", "airflow", true, n.now)
		require.NoError(t, err)
		n.Called(call, verdict, errAway, n.now)
		const s = time.Second
		assert.Equal(t, []time.Duration{s / 2, s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}, n.probes(t, verdict, 8))
	}
}

// While the probe of one namespace is under way, and after it.
func TestAnotherNamespaceGoesOn(t *testing.T) {
	n := newNode()
	n.live(asItIs, "a", "b")
	n.live(func(v *Volume) { v.Namespace, v.Key = "bank", "bank" }, "c")
	n.call("airflow", outage.Unanswered)
	n.changed("core", Change{All: true}, 0, n.now)
	_, ids := n.due()
	require.Equal(t, [][]string{{"c"}}, ids)
	n.now = n.now.Add(time.Second)
	_, err := n.Admit("core", "airflow", false, n.now)
	require.NoError(t, err)
	_, ids = n.due()
	require.Empty(t, ids)
}

func TestASignOfLifeIsLookedInto(t *testing.T) {
	n := newNode()
	n.live(asItIs, "a")
	n.call("airflow", outage.Unreachable)
	n.Notified("vault", Change{}, n.now)
	_, ids := n.due()
	require.Empty(t, ids)
	n.Notified("core", Change{}, n.now)
	_, ids = n.due()
	assert.Equal(t, [][]string{{"a"}}, ids)
}

func TestWhatWaitedIsDueOnceTheOutageIsOver(t *testing.T) {
	for name, row := range map[string]struct {
		verdict outage.Verdict
		want    [][]string
	}{
		"everybody's":   {outage.Unreachable, [][]string{{"a"}, {"b"}}},
		"a namespace's": {outage.Unanswered, [][]string{{"a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode()
			n.live(asItIs, "a")
			n.live(func(v *Volume) { v.Namespace, v.Key = "bank", "bank" }, "b")
			n.live(func(v *Volume) { v.Source, v.Key = "vault", "vault" }, "c")
			n.now = n.now.Add(time.Second)
			for _, id := range []string{"a", "b", "c"} {
				n.Ended(n.Begin(id, n.now), failed, n.now)
			}
			n.call("airflow", row.verdict)
			n.now = n.now.Add(UrgentPause)
			made, news := n.call("airflow", outage.Answered)
			require.True(t, made)
			require.True(t, news)
			_, ids := n.due()
			assert.ElementsMatch(t, row.want, ids)
		})
	}
}

// A withdrawal that was told must not wait as long as what is only fetched again.
func TestWhatWasToldComesFirstOnceTheOutageIsOver(t *testing.T) {
	for name, tell := range map[string]func(n *node){
		"in the outage": func(n *node) {
			n.call("airflow", outage.Unreachable)
			n.Notified("core", Change{Entries: []layout.Name{region}}, n.now)
		},
		"before a delivery that failed": func(n *node) {
			n.Notified("core", Change{Entries: []layout.Name{region}}, n.now)
			n.Ended(n.Begin("a", n.now), failed, n.now)
			n.call("airflow", outage.Unreachable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode()
			n.Random = func(below time.Duration) time.Duration { return below - 1 }
			n.live(asItIs, "a")
			n.live(func(v *Volume) { v.Wanted, v.Key = Set{}, "other" }, "b")
			n.now = n.now.Add(time.Second)
			n.Ended(n.Begin("b", n.now), failed, n.now)
			tell(n)
			n.now = n.now.Add(UrgentPause)
			made, news := n.call("airflow", outage.Answered)
			require.True(t, made)
			require.True(t, news)
			n.now = n.now.Add(newsSpread)
			_, ids := n.due()
			assert.Equal(t, [][]string{{"a"}}, ids)
			n.now = n.now.Add(ResyncSpread)
			_, ids = n.due()
			assert.Equal(t, [][]string{{"b"}}, ids)
		})
	}
}

func TestAnOutageThatNobodyLooksIntoIsForgotten(t *testing.T) {
	n := newNode()
	n.call("gone", outage.Unanswered)
	n.call("gone", outage.Unreachable)
	n.now = n.now.Add(believedFor)
	require.True(t, n.isAway("core"))
	n.now = n.now.Add(1)
	require.False(t, n.isAway("core"))
}
