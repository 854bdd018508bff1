package audit

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// most is what may be taken at once, in bytes.
const most = LongRun * int(AtOnce/time.Second)

// task is an instance of a task that has a token of its own.
func task(name string) auth.Caller {
	return auth.Caller{Tenant: "acme", DAG: "billing", Subject: "billing//" + name + "/1"}
}

func TestABudgetIsPaidOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget, greedy := NewBudget(LongRun), task("greedy")
		budget.Spend(greedy, most-1)
		assert.Zero(t, budget.Wait(greedy), "that much may be taken at once")
		budget.Spend(greedy, 3*LongRun)
		assert.InDelta(t, 3, budget.Wait(greedy).Seconds(), 0.001, "what was let is owed for")
		assert.Zero(t, budget.Wait(task("another")), "and nobody else owes")
		time.Sleep(2 * time.Second)
		assert.InDelta(t, 1, budget.Wait(greedy).Seconds(), 0.001)
		time.Sleep(time.Second)
		assert.Zero(t, budget.Wait(greedy))
		time.Sleep(time.Hour)
		budget.Spend(greedy, most+LongRun)
		assert.InDelta(t, 1, budget.Wait(greedy).Seconds(), 0.001, "nobody saves up more than can be taken at once")
	})
}

// Of whom each part of a caller makes another, and which do not.
func TestWhoseAShareIs(t *testing.T) {
	pod := auth.Caller{Cluster: "a", Namespace: "bank", ServiceAccount: "etl", PodUID: "1", Pod: "load", TokenID: "x", Node: "n"}
	for name, row := range map[string]struct {
		change func(*auth.Caller)
		own    bool
	}{
		"another pod":              {func(c *auth.Caller) { c.PodUID = "2" }, true},
		"a token without a pod":    {func(c *auth.Caller) { c.PodUID = "" }, true},
		"another cluster":          {func(c *auth.Caller) { c.Cluster = "b" }, true},
		"the pod's next token":     {func(c *auth.Caller) { c.TokenID = "y" }, false},
		"a task":                   {func(c *auth.Caller) { *c = task("load") }, true},
		"what the token says else": {func(c *auth.Caller) { c.Pod, c.Node = "other", "m" }, false},
	} {
		budget := NewBudget(LongRun)
		budget.Spend(pod, 2*most)
		other := pod
		row.change(&other)
		assert.Equal(t, row.own, budget.Wait(other) == 0, name)
	}
}

// However many callers there are, what is remembered of them is of one size; and who owes makes nobody
// else owe, but for one in a million who meets others at all of his places.
func TestABudgetTakesTheSameForAnyNumberOfCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		assert.Less(t, unsafe.Sizeof(Budget{}), uintptr(1<<20+1<<10))
		budget := NewBudget(LongRun)
		waiting := func(kind string) (count int) {
			for i := range 10_000 {
				if budget.Wait(task(fmt.Sprint(kind, i))) > 0 {
					count++
				}
			}
			return count
		}
		for i := range 1000 {
			budget.Spend(task(fmt.Sprint("greedy-", i)), 2*most)
		}
		assert.LessOrEqual(t, waiting("honest-"), 1)
		for i := range 550_000 { // the pods of a cluster of 5,000 nodes, all of which start
			budget.Spend(task(fmt.Sprint("pod-", i)), 11*600)
		}
		assert.LessOrEqual(t, waiting("pod-"), 2)
		for i := range 9000 {
			budget.Spend(task(fmt.Sprint("many-", i)), 2*most)
		}
		assert.Less(t, waiting("honest-"), 200, "of 10,000, beside 10,000 who owe")
	})
}

// A record as core writes it of a pod in a cluster.
func podRecord(id int) *Record {
	return &Record{
		Time: time.Date(2026, 11, 27, 9, 14, 2, 323293217, time.UTC), Request: "9f2b6c01d4e85a37", Method: "/leoflow.secrets.v1.SecretsService/Fetch",
		Peer: "10.244.17.123:59040", DriverNode: "ip-10-0-117-123.eu-central-1", Kind: entry.Connection, Entry: fmt.Sprint("warehouse_of_team_", id),
		Caller: auth.Caller{
			Namespace: "payments-prod", ServiceAccount: "airflow-worker", Pod: "daily-report-load-3fd2a8c1", PodUID: "0f8fad5b-d9cb-469f-a165-70867728950e",
			Node: "ip-10-0-117-123.eu-central-1", TokenID: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
		},
		Version: "MFyZj8JoWWmR7OWx-_-mHg", Decision: Allowed,
	}
}

// What honest pods take at worst. Each row is one pod that is given so many entries every so often.
func TestHonestPodsStayWithinTheirShare(t *testing.T) {
	const forever = 24 * time.Hour
	for name, row := range map[string]struct {
		entries int
		every   time.Duration
		lasts   time.Duration
	}{
		"10 entries, which all rotate each second":            {10, time.Second, forever},
		"30 entries, one of which rotates every other second": {30, 2 * time.Second, forever},
		"100 entries, one of which rotates every six seconds": {100, 6 * time.Second, forever},
		"1,000 entries, at the safety poll":                   {1000, 10 * time.Minute, forever},
		"1,000 entries, one of which rotates each minute":     {1000, time.Minute, forever},
		"1,000 entries, whose driver restarts fifteen times":  {1000, time.Second, 14 * time.Second},
		"1,000 entries, one of which rotates every 5 s":       {1000, 5 * time.Second, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				budget, record := NewBudget(LongRun), podRecord(row.entries)
				t.Logf("%d bytes a record", record.Size())
				for began := time.Now(); time.Since(began) <= row.lasts; time.Sleep(row.every) {
					if !assert.Zero(t, budget.Wait(record.Caller), "after %v", time.Since(began)) {
						return
					}
					budget.Spend(record.Caller, (row.entries+1)*record.Size())
				}
			})
		})
	}
}

// One who never pauses takes what he may at once, and then so much a second.
func TestWhoNeverPausesTakesTheLongRunsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget, greedy := NewBudget(LongRun), task("greedy")
		given, size, hours := 0, podRecord(1).Size(), 6
		for began := time.Now(); time.Since(began) < time.Duration(hours)*time.Hour; time.Sleep(100 * time.Millisecond) {
			if budget.Wait(greedy) == 0 {
				budget.Spend(greedy, 20*size)
				given += 20 * size
			}
		}
		assert.InDelta(t, most+LongRun*hours*3600, given, 1<<16)
	})
}
