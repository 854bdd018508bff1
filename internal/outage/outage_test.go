package outage

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	pause  = time.Second
	urgent = pause / 2
	forget = time.Minute
)

var errAway = errors.New("away")

// clocked are outages at a time.
type clocked struct {
	Outages
	now time.Time
}

func newClocked() *clocked {
	doubles := func(failures int) time.Duration { return pause << failures }
	return &clocked{Outages{Pause: doubles, UrgentPause: urgent, ForgetAfter: forget}, time.Unix(1_800_000_000, 0)}
}

// call makes an urgent one, if it is let through.
func (c *clocked) call(caller string, verdict Verdict) (made, began bool, over []Scope) {
	admitted, err := c.Admit(Scope{"a", caller}, true, c.now)
	if err != nil {
		return false, false, nil
	}
	began, over = c.Called(admitted, verdict, fmt.Errorf("%w for %s", errAway, caller), c.now)
	return true, began, over
}

func (c *clocked) isAway(place string, answered, now time.Time) bool {
	away, _ := c.Away(place, answered, now)
	return away
}

func TestWhatACallTells(t *testing.T) {
	all, mine := Scope{"a", ""}, Scope{"a", "me"}
	for name, row := range map[string]struct {
		verdict     Verdict
		began       bool
		over        []Scope // of outages that everybody and the caller have
		me, another bool    // who cannot ask, where there was no outage before
	}{
		"undecided":   {verdict: Undecided},
		"answered":    {verdict: Answered, over: []Scope{all, mine}},
		"reached":     {verdict: Reached, over: []Scope{all}},
		"unanswered":  {verdict: Unanswered, began: true, over: []Scope{all}, me: true},
		"unreachable": {verdict: Unreachable, began: true, me: true, another: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClocked()
			made, began, over := c.call("me", row.verdict)
			require.True(t, made)
			assert.Equal(t, row.began, began)
			assert.Empty(t, over)
			for at, away := range map[Scope]bool{mine: row.me, {"a", "you"}: row.another, {"b", "me"}: false} {
				assert.Equal(t, away, c.Why(at, c.now) != nil, at)
				_, err := c.Admit(at, true, c.now)
				assert.Equal(t, away, err != nil, at)
			}

			c = newClocked()
			c.call("me", Unanswered)
			c.now = c.now.Add(urgent)
			c.call("you", Unreachable)
			c.now = c.now.Add(urgent)
			made, began, over = c.call("me", row.verdict)
			require.True(t, made, "one call finds out about both")
			assert.False(t, began)
			assert.Equal(t, row.over, over)
		})
	}
}

func TestOneCallAtATimeFindsOut(t *testing.T) {
	c := newClocked()
	c.call("me", Unreachable)
	_, err := c.Admit(Scope{"a", "you"}, true, c.now)
	require.EqualError(t, err, "away for me")
	_, err = c.Admit(Scope{"a", "you"}, false, c.now.Add(pause-1))
	require.Error(t, err, "what is not urgent waits longer")
	c.now = c.now.Add(urgent)
	probe, err := c.Admit(Scope{"a", "you"}, true, c.now)
	require.NoError(t, err)
	assert.True(t, probe.IsProbe())
	assert.Equal(t, "a", probe.Place())
	_, err = c.Admit(Scope{"a", "you"}, true, c.now.Add(time.Hour))
	require.Error(t, err, "a probe is under way")
	wait, away := c.Wait(Scope{Place: "a"}, "you", c.now)
	assert.True(t, away)
	assert.Equal(t, forever, wait)

	_, err = c.Admit(Scope{"a", "me"}, true, c.now)
	require.Error(t, err, "another's began just now")

	c.Called(probe, Undecided, nil, c.now)
	probe, err = c.Admit(Scope{"a", "me"}, true, c.now)
	require.NoError(t, err, "one that found nothing out is followed by another at once")
	began, over := c.Called(probe, Answered, nil, c.now)
	assert.False(t, began)
	assert.Equal(t, []Scope{{Place: "a"}}, over)
	_, away = c.Wait(Scope{Place: "a"}, "me", c.now)
	assert.False(t, away)
}

// TestAProbeIsItsCallersAlone has one that never ends.
func TestAProbeIsItsCallersAlone(t *testing.T) {
	c := newClocked()
	c.call("you", Unreachable)
	c.now = c.now.Add(urgent)
	hangs, err := c.Admit(Scope{"a", "evil"}, true, c.now)
	require.NoError(t, err)
	c.now = c.now.Add(urgent)
	made, _, over := c.call("me", Answered)
	require.True(t, made, "as soon as after one that failed")
	assert.Equal(t, []Scope{{Place: "a"}}, over)
	c.call("you", Unreachable)
	began, over := c.Called(hangs, Unreachable, errAway, c.now)
	assert.False(t, began)
	assert.Empty(t, over, "of the outage after the one that it was to find out about")
	require.EqualError(t, c.Why(Scope{"a", "me"}, c.now), "away for you")
}

func TestPausesGrow(t *testing.T) {
	for _, verdict := range []Verdict{Unanswered, Unreachable} {
		c := newClocked()
		c.call("me", verdict)
		at := map[Verdict]Scope{Unanswered: {"a", "me"}, Unreachable: {"a", ""}}[verdict]
		for failures := range 4 {
			wait, away := c.Wait(at, "me", c.now)
			require.True(t, away)
			require.Equal(t, pause<<failures, wait)
			c.now = c.now.Add(wait)
			admitted, err := c.Admit(Scope{"a", "me"}, false, c.now)
			require.NoError(t, err)
			c.Called(admitted, verdict, errAway, c.now)
		}
		c.ProbeNow("b", c.now)
		wait, _ := c.Wait(at, "me", c.now)
		assert.Positive(t, wait)
		c.ProbeNow("a", c.now)
		wait, _ = c.Wait(at, "me", c.now)
		assert.Zero(t, wait)
	}
}

// A call that began before the outage, and one that was the probe of an outage which is over.
func TestOnlyAProbeOfAnOutageTellsThatItLasts(t *testing.T) {
	for _, verdict := range []Verdict{Unanswered, Unreachable} {
		c := newClocked()
		late, err := c.Admit(Scope{"a", "me"}, true, c.now)
		require.NoError(t, err)
		c.call("me", verdict)
		c.now = c.now.Add(urgent)
		probe, err := c.Admit(Scope{"a", "me"}, true, c.now)
		require.NoError(t, err)
		began, _ := c.Called(late, verdict, errAway, c.now)
		assert.False(t, began)
		_, err = c.Admit(Scope{"a", "me"}, true, c.now)
		require.Error(t, err, "the probe is still under way")

		another := Call{at: Scope{"a", "me"}, began: c.now}
		_, over := c.Called(another, Answered, nil, c.now)
		assert.Len(t, over, 1)
		c.call("me", verdict)
		at := map[Verdict]Scope{Unanswered: {"a", "me"}, Unreachable: {"a", ""}}[verdict]
		before, _ := c.Wait(at, "me", c.now)
		began, _ = c.Called(probe, verdict, errAway, c.now)
		assert.False(t, began)
		after, _ := c.Wait(at, "me", c.now)
		assert.Equal(t, before, after, "it was no probe of this outage")
	}
}

func TestAPlaceIsAwayWhereNobodyWasAnsweredSince(t *testing.T) {
	c := newClocked()
	c.now = c.now.Add(time.Second)
	asked := c.now
	c.call("me", Unanswered)
	require.True(t, c.isAway("a", time.Time{}, c.now))
	require.True(t, c.isAway("a", asked, c.now), "the answer was before")
	require.False(t, c.isAway("a", asked.Add(1), c.now))
	require.False(t, c.isAway("b", time.Time{}, c.now))
	c.call("you", Unreachable)
	require.True(t, c.isAway("a", asked.Add(1), c.now), "nobody can ask it")
}

func TestAnOutageThatNobodyLooksIntoIsForgotten(t *testing.T) {
	c := newClocked()
	c.call("me", Unanswered)
	c.call("me", Unreachable)
	c.now = c.now.Add(forget)
	require.True(t, c.isAway("a", time.Time{}, c.now))
	c.now = c.now.Add(1)
	require.False(t, c.isAway("a", time.Time{}, c.now))
	assert.Empty(t, c.known)

	for caller := range 100 { // whose outages nobody asks about again
		c.now = c.now.Add(forget + 1)
		c.call(fmt.Sprint(caller), Unanswered)
	}
	assert.Len(t, c.known, 1)
}
