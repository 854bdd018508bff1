package report

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/policy"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

var volume = Volume{ID: "csi-a", Source: "core", Namespace: "airflow", Pod: "a", PodUID: "uid-a", ServiceAccount: "etl"}

// delivered is an entry of a volume that is as it should be.
func delivered(id string) Entry {
	return Entry{Entry: layout.Entry{Kind: layout.Connection, ID: id, State: layout.Delivered, Version: "v1"}}
}

// gone is one that is not there, for that reason.
func gone(id string, state layout.State) Entry {
	line := entry.Refused(layout.Name{Kind: layout.Connection, ID: id}, state, "").Entry
	line.Required = true
	return Entry{Entry: line, Why: line}
}

// held is one that stands as it was, for that reason.
func held(id string, state layout.State, why string) Entry {
	made := delivered(id)
	made.Held = &layout.Held{Why: why}
	made.Why = entry.Refused(made.Name(), state, why).Entry
	return made
}

func unresolved(e Entry) Entry {
	e.Unresolved = true
	return e
}

// good is a report of a rotation that went well.
func good() Report {
	return Report{
		Volume: volume, Cause: "watch", WasLive: true, IsLive: true, Generation: 2, Changed: true,
		Confirmed: time.Unix(1_800_000_000, 0), Entries: []Entry{delivered("db")},
	}
}

// diary is a Recorder that keeps what it is told.
type diary []string

func (d *diary) Record(of Volume, reason EventReason, message string) {
	*d = append(*d, of.Pod+" "+string(reason)+": "+message)
}

// tell has the report read, and returns the log's line and what is recorded.
func (r Report) tell(t *testing.T, events *Events) (line map[string]any, recorded []string) {
	t.Helper()
	var log bytes.Buffer
	var told diary
	to := Complete(Readers{Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Recorder: &told})
	r.Conclude()
	r.Send(to, events, &Said{})
	require.NoError(t, json.NewDecoder(&log).Decode(&line))
	return line, told
}

// TestWhatEachReaderMakesOfAReport breaks one field of one good report.
func TestWhatEachReaderMakesOfAReport(t *testing.T) {
	fail := func(reason Reason, entries ...layout.Entry) func(*Report) {
		return func(r *Report) {
			*r = Report{Volume: r.Volume, Cause: r.Cause, WasLive: r.WasLive, IsLive: r.IsLive}
			r.Failure = Failf(reason, nil, "because")
			r.Failure.Full, r.Failure.Entries = "because, in full", entries
		}
	}
	fresh := func(also func(*Report)) func(*Report) { // that a pod waits for
		return func(r *Report) {
			r.Cause, r.WasLive, r.IsLive = "publish", false, false
			also(r)
		}
	}
	const denied = `withdrawn: connection "x" is denied to service account airflow/etl by core`
	for name, row := range map[string]struct {
		change                          func(*Report)
		outcome, level, message, notice string
		entries                         []any
		events                          []string
	}{
		"as it should be": {func(*Report) {}, "delivered", "INFO", "delivered", "", []any{"connection/db@v1"}, nil},
		"nothing to do":   {func(r *Report) { r.Changed = false }, "unchanged", "DEBUG", "unchanged", "", []any{"connection/db@v1"}, nil},
		"withdrawn": {func(r *Report) {
			left := gone("x", layout.Denied)
			r.Entries = append(r.Entries, left)
			left.Needed = true
			r.Withdrawn = []Entry{left}
		},
			"delivered", "WARN", "delivered", denied, []any{"connection/db@v1", "connection/x@denied"}, []string{"a EntryWithdrawn: " + denied}},
		"an optional one withdrawn": {func(r *Report) {
			left := gone("x", layout.Denied)
			left.Required = false
			r.Withdrawn = []Entry{left}
		}, "delivered", "INFO", "delivered", "", []any{"connection/db@v1"}, []string{"a EntryWithdrawn: " + denied}},
		"held, since it is broken": {func(r *Report) { r.Entries = []Entry{held("x", layout.Invalid, "why")} },
			"held", "WARN", "delivered", `held as delivered before: connection "x" cannot be delivered: why`, []any{"connection/x@v1 (held)"},
			[]string{`a EntryInvalid: held as delivered before: connection "x" cannot be delivered: why`}},
		"held for its reference": {func(r *Report) { r.Entries = []Entry{unresolved(held("x", layout.Invalid, "why"))} },
			"held", "WARN", "delivered", `held as delivered before: connection "x" cannot be delivered: why`, []any{"connection/x@v1 (held)"},
			[]string{`a ReferenceUnresolved: held as delivered before: connection "x" cannot be delivered: why`}},
		"held for a cloud that is away": {func(r *Report) { r.Entries = []Entry{unresolved(held("x", layout.Unavailable, "why"))} },
			"held", "WARN", "delivered", `held as delivered before: connection "x" cannot be completed now: why`, []any{"connection/x@v1 (held)"},
			[]string{`a EntryHeld: held as delivered before: connection "x" cannot be completed now: why`}},
		"never there and broken": {func(r *Report) { r.Entries = []Entry{gone("x", layout.Invalid)} },
			"delivered", "WARN", "delivered", `connection "x" cannot be delivered`, []any{"connection/x@invalid"}, nil},
		"from memory": {func(r *Report) { r.Offline = true },
			"offline", "WARN", "delivered", "the files are what this node was given for a pod like this one before core could not be asked any more",
			[]any{"connection/db@v1"}, []string{"a ServedOffline: the files are what this node was given for a pod like this one before core could not be asked any more"}},
		"overtaken": {func(r *Report) { r.Superseded, r.Changed, r.Entries = true, false, nil }, "unchanged", "DEBUG", "unchanged", "", []any{}, nil},

		"an outage":                     {fail(Unavailable), "unavailable", "DEBUG", "keeping the volume's last good files", "", nil, nil},
		"an outage for a new pod":       {fresh(fail(Unavailable)), "unavailable", "DEBUG", "not delivered", "", nil, []string{"a SourceUnavailable: because"}},
		"a token refused":               {fail(Unauthenticated), "unauthenticated", "WARN", "keeping the volume's last good files", "", nil, []string{"a TokenRefused: because"}},
		"a pod refused":                 {fresh(fail(Denied)), "denied", "INFO", "not delivered", "", nil, []string{"a EntryDenied: because"}},
		"one entry of many is at fault": {fresh(fail(Missing, gone("x", layout.Missing).Entry)), "missing", "INFO", "not delivered", "", []any{"connection/x"}, []string{"a EntryMissing: because"}},
		"broken":                        {fresh(fail(Invalid)), "invalid", "INFO", "not delivered", "", nil, []string{"a EntryInvalid: because"}},
		"broken for its reference": {fresh(func(r *Report) { fail(Invalid)(r); r.Failure.Unresolved = true }),
			"invalid", "INFO", "not delivered", "", nil, []string{"a ReferenceUnresolved: because"}},
		"no room":           {fresh(fail(NoSpace)), "no_space", "INFO", "not delivered", "", nil, []string{"a VolumeFailed: because"}},
		"a pod that goes":   {fresh(fail(Busy)), "busy", "INFO", "not delivered", "", nil, nil},
		"the mount is gone": {func(r *Report) { fail(Internal)(r); r.MountGone, r.IsLive = true, false }, "internal", "WARN", "the volume's mount is gone", "", nil, []string{"a VolumeFailed: because"}},
		"withdrawn all the same": {func(r *Report) {
			fail(Internal)(r)
			r.Entries = []Entry{gone("x", layout.Denied)}
		}, "internal", "WARN", "keeping the volume's last good files", "", nil, []string{"a VolumeFailed: because", "a EntryWithdrawn: " + denied}},
		"not even withdrawn": {func(r *Report) {
			fail(Internal)(r)
			r.Pending = Pending{[]layout.Entry{delivered("x").Entry}, Failf(Internal, nil, "no way")}
		}, "internal", "WARN", "keeping the volume's last good files", "", nil,
			[]string{"a EntryNotWithdrawn: taken away, and still in the files: no way", "a VolumeFailed: because"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			row.change(&r)
			line, events := r.tell(t, new(Events))
			assert.Equal(t, row.outcome, r.Outcome())
			assert.Equal(t, row.outcome, line["outcome"])
			assert.Equal(t, []any{row.level, row.message}, []any{line["level"], line["msg"]})
			notice, _ := line["notice"].(string)
			assert.Equal(t, row.notice, notice)
			var entries any
			if row.entries != nil {
				entries = row.entries
			}
			assert.Equal(t, entries, line["entries"])
			assert.Equal(t, row.events, events)
			if r.Failure != nil {
				assert.Equal(t, "because, in full", line["error"])
			}
		})
	}
}

func TestHealthAfterAReport(t *testing.T) {
	before := Health{Generation: 1, Confirmed: time.Unix(1, 0), Held: 1, Problem: "before"}
	for name, row := range map[string]struct {
		change func(*Report)
		want   Health
	}{
		"as it should be": {func(*Report) {}, Health{Generation: 2, Confirmed: good().Confirmed}},
		"held": {func(r *Report) {
			r.Entries = []Entry{held("x", layout.Invalid, "why"), held("y", layout.Invalid, "why")}
		},
			Health{Generation: 2, Confirmed: good().Confirmed, Held: 2,
				Problem: `held as delivered before: connection "x" cannot be delivered: why; connection "y" cannot be delivered: why`}},
		"from memory": {func(r *Report) { r.Offline = true }, Health{Generation: 2, Confirmed: good().Confirmed, Offline: true,
			Problem: "the files are what this node was given for a pod like this one before core could not be asked any more"}},
		"failed": {func(r *Report) { *r = Report{Failure: Failf(Denied, nil, "why")} },
			Health{Generation: 1, Confirmed: before.Confirmed, Held: 1, Problem: "why"}},
		"the mount is gone": {func(r *Report) { *r = Report{Failure: Failf(Internal, nil, "why"), MountGone: true} },
			Health{Confirmed: before.Confirmed, Held: 1, Problem: "why"}},
		"overtaken": {func(r *Report) { r.Superseded, r.Entries = true, nil }, before},
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			row.change(&r)
			r.Conclude()
			assert.Equal(t, row.want, before.After(r))
		})
	}
}

// What was told is told again only when it is something else, or was well in between.
func TestAPodIsToldWhatIsNew(t *testing.T) {
	broken := func(why string) Report {
		r := good()
		r.Changed, r.Entries = false, []Entry{held("x", layout.Invalid, why)}
		return r
	}
	failed := good()
	failed.Failure = Failf(NoSpace, nil, "why")
	refused := func(why string) Report {
		r := good()
		r.Failure = Failf(Unauthenticated, nil, "core refused the token: %s", why)
		return r
	}
	events := new(Events)
	for i, step := range []struct {
		report Report
		level  string
		told   int
	}{
		{refused("it expired 59m ago, and core's clock says 2026-11-27T17:59:00Z"), "WARN", 1},
		{refused("it expired 1h0m ago, and core's clock says 2026-11-27T18:00:00Z"), "WARN", 0},
		{good(), "INFO", 0},
		{refused("it expired 1h1m ago, and core's clock says 2026-11-27T18:01:00Z"), "WARN", 1},
		{good(), "INFO", 0},
		{broken("one reason"), "WARN", 1},
		{broken("in other words"), "DEBUG", 0},
		{failed, "WARN", 1},
		{broken("in other words"), "DEBUG", 0}, // which lasted while the delivery failed
		{failed, "WARN", 1},
		{good(), "INFO", 0},
		{broken("one reason"), "WARN", 1},
	} {
		line, told := step.report.tell(t, events)
		assert.Equal(t, step.level, line["level"], i)
		assert.Len(t, told, step.told, i)
	}
	overtaken := good()
	overtaken.Superseded = true
	overtaken.tell(t, events)
	_, told := broken("one reason").tell(t, events)
	assert.Empty(t, told, "what is overtaken says nothing")
}

// Of what is held nothing new is known while its reference is awaited, and what is held no more
// makes no news of the rest.
func TestAnAwaitedEntryIsNoNews(t *testing.T) {
	awaited := func(id string) Entry {
		e := held(id, layout.Unavailable, "why")
		e.Awaited = true
		return e
	}
	unresolvedOf := func(id string) Entry { return unresolved(held(id, layout.Invalid, "why")) }
	events := new(Events)
	for i, step := range []struct {
		entries []Entry
		told    []string
	}{
		{[]Entry{unresolvedOf("x"), held("y", layout.Unavailable, "why")}, []string{"EntryHeld", "ReferenceUnresolved"}},
		{[]Entry{awaited("x"), awaited("y")}, nil},
		{[]Entry{unresolvedOf("x"), awaited("y")}, nil},
		{[]Entry{delivered("x"), held("y", layout.Unavailable, "why")}, nil},
		{[]Entry{awaited("x"), awaited("y")}, []string{"EntryHeld"}}, // x since a while ago
		{[]Entry{awaited("x"), unresolvedOf("y")}, []string{"ReferenceUnresolved"}},
		{[]Entry{unresolvedOf("x"), unresolvedOf("y")}, []string{"ReferenceUnresolved"}},
		{[]Entry{unresolvedOf("x")}, nil},
	} {
		r := good()
		r.Changed, r.Entries = false, step.entries
		_, recorded := r.tell(t, events)
		var told []string
		for _, line := range recorded {
			told = append(told, strings.TrimSuffix(strings.Fields(line)[1], ":"))
		}
		assert.Equal(t, step.told, told, i)
	}
}

func TestVolumesTurnStaleOnce(t *testing.T) {
	var events Events
	for _, row := range [][2]bool{{false, false}, {true, true}, {true, false}, {false, false}, {true, true}} {
		assert.Equal(t, row[1], events.TurnedStale(row[0]))
	}
}

func TestNoticesArePassedOn(t *testing.T) {
	remarked := delivered("x")
	remarked.Notices = []layout.Notice{{Code: policy.KeyStoredInCore, Message: "one"}, {Code: layout.NoticeTooLong, Message: "two"}}
	broken := gone("y", layout.Invalid)
	broken.Required, broken.Notices = false, []layout.Notice{{Code: "invalid", Message: "three"}}
	r := good()
	r.Entries = []Entry{remarked, broken}
	_, told := r.tell(t, new(Events))
	assert.Equal(t, []string{`a KeyStoredInCore: connection "x": one`, `a EntryInvalid: connection "y": three`}, told)
	for _, code := range []string{policy.KeyStoredInCore, policy.CredentialIgnored, policy.ReadAsMeant} {
		assert.Contains(t, noticeEvents, code)
	}
}
