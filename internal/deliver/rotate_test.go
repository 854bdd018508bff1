package deliver

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

// rotated runs a test in virtual time with the rotation loop running.
func rotated(t *testing.T, arrange func(*rig), test func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		arrange(r)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		synctest.Wait()
		test(t, r)
		stop()
		require.NoError(t, <-ended)
	})
}

func TestAWatchedChangeReachesTheFilesAtOnce(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		start := time.Now()
		r.fake.SetConnection(warehouse("second"))
		synctest.Wait()
		assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
		assert.Equal(t, uint64(2), must(r.Health(v.ID)).Generation)
		assert.Zero(t, time.Since(start), "no timer had to run out")
	})
}

// A driver that reads the attributes in another way than the one before it: the files follow, and
// kubelet waits for nothing.
func TestALiveVolumeThatAsksForElseIsRotated(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		synctest.Wait()
		release := r.fake.Block()
		v.Mode, v.Variables = 0o400, Wanted{}
		require.NoError(t, r.Publish(t.Context(), v))
		release()
		synctest.Wait()
		assert.NoFileExists(t, v.TargetPath+"/variables/region")
		info, err := os.Stat(v.TargetPath + "/connections/warehouse")
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o400), info.Mode())
		assert.Equal(t, uint64(2), must(r.Health(v.ID)).Generation)
	})
}

func TestOnlyAffectedVolumesAreFetchedAndAlikeOnesShareACall(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		for _, pod := range []string{"a", "b", "c"} {
			require.NoError(t, r.Publish(t.Context(), r.volume(t, pod)))
		}
		other := r.volume(t, "other")
		other.Pod.ServiceAccount = "report"
		require.NoError(t, r.Publish(t.Context(), other))
		unconcerned := r.volume(t, "unconcerned")
		unconcerned.Connections = Wanted{}
		require.NoError(t, r.Publish(t.Context(), unconcerned))
		before := len(r.fake.Calls())

		r.fake.SetConnection(warehouse("second"))
		synctest.Wait()
		calls := r.fake.Calls()[before:]
		require.Len(t, calls, 2, "one for each distinct identity and request")
		assert.ElementsMatch(t, []int{3, 1}, []int{len(calls[0].Pods), len(calls[1].Pods)})
		assert.Equal(t, secondURI, read(t, other, "connections/warehouse"))
		assert.Equal(t, uint64(1), must(r.Health(unconcerned.ID)).Generation)
	})
}

func TestAChangeInOneNamespaceConcernsNoOther(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		here, there := r.volume(t, "here"), r.volume(t, "there")
		there.Pod.Namespace = "elsewhere"
		require.NoError(t, r.Publish(t.Context(), here))
		require.NoError(t, r.Publish(t.Context(), there))
		before := len(r.fake.Calls())

		r.fake.Notify(provider.Change{Namespace: "airflow", Entries: []entry.Name{{Kind: entry.Connection, ID: "warehouse"}}})
		synctest.Wait()
		calls := r.fake.Calls()[before:]
		require.Len(t, calls, 1)
		assert.Equal(t, "here", calls[0].Pods[0].PodName)
	})
}

func TestAPodOfAGroupWhoseTokenIsRefusedGetsNothingOfItsNeighbours(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		good, bad := r.volume(t, "good"), r.volume(t, "bad")
		require.NoError(t, r.Publish(t.Context(), good))
		require.NoError(t, r.Publish(t.Context(), bad))
		r.fake.RefuseToken(r.volume(t, "bad").Pod.Token)
		r.fake.SetConnection(warehouse("second"))
		synctest.Wait()
		assert.Equal(t, secondURI, read(t, good, "connections/warehouse"))
		assert.Equal(t, firstURI, read(t, bad, "connections/warehouse"))
		assert.Contains(t, must(r.Health(bad.ID)).Problem, "refused the token")
	})
}

func TestAChangeDuringAFetchIsNotLost(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		release := r.fake.Block()
		r.fake.SetConnection(warehouse("second"))
		synctest.Wait()
		r.fake.SetConnection(warehouse("third"))
		synctest.Wait()
		before := len(r.fake.Calls())
		release()
		synctest.Wait()
		assert.Greater(t, len(r.fake.Calls()), before, "the news that came meanwhile calls for another look")
		assert.Equal(t, "postgres://etl:third@db", read(t, v, "connections/warehouse"))
	})
}

func TestAnUnavailableProviderIsAskedAgainAndLess(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		r.fake.Fail(provider.ErrUnavailable)
		before := len(r.fake.Calls())
		r.fake.SetConnection(warehouse("second"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		calls := len(r.fake.Calls()) - before
		assert.Greater(t, calls, 10)
		assert.Less(t, calls, 25)
		assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))

		r.fake.Fail(nil)
		time.Sleep(2 * schedule.MaxBackoff)
		synctest.Wait()
		assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
	})
}

func TestPollingWhereThereIsNoWatch(t *testing.T) {
	rotated(t, func(r *rig) { r.fake.WithoutWatch() }, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		r.fake.SetConnection(warehouse("second"))
		time.Sleep(r.PollEvery * 2)
		synctest.Wait()
		assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))

		before := len(r.fake.Calls())
		time.Sleep(time.Hour)
		synctest.Wait()
		calls := len(r.fake.Calls()) - before
		assert.Greater(t, calls, 8)
		assert.Less(t, calls, 20, "polling slows down while nothing changes")
		assert.Contains(t, r.log.String(), `"error":"watch not supported"`)
	})
}

func TestRefreshSetsThePaceOfPolling(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		v.Refresh = 10 * time.Second
		require.NoError(t, r.Publish(t.Context(), v))
		before := len(r.fake.Calls())
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.InDelta(t, 60, len(r.fake.Calls())-before, 7)
	})
}

// polled says how often it wants to be asked.
type polled struct{ *providertest.Fake }

func (polled) PollEvery() time.Duration { return 20 * time.Second }

func (p polled) Watch(context.Context, func(provider.Change)) error {
	return provider.ErrWatchUnsupported
}

func TestASourceMaySetThePaceOfPolling(t *testing.T) {
	rotated(t, func(r *rig) { r.asks.Providers["core"] = polled{r.fake} }, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		before := len(r.fake.Calls())
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.InDelta(t, 180, len(r.fake.Calls())-before, 10, "and it does not slow down")

		v.Refresh = time.Minute
		require.NoError(t, r.Publish(t.Context(), v))
		before = len(r.fake.Calls())
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.InDelta(t, 60, len(r.fake.Calls())-before, 5, "the volume's own comes first")
	})
}

func TestAfterAWatchGapVolumesAlikeShareACall(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		for i := range 20 {
			require.NoError(t, r.Publish(t.Context(), r.volume(t, fmt.Sprint("pod-", i))))
		}
		before := len(r.fake.Calls())
		r.fake.Notify(provider.Change{All: true})
		time.Sleep(schedule.ResyncSpread)
		synctest.Wait()
		assert.Len(t, r.fake.Calls(), before+1)
	})
}

func TestAWatchGapSpreadsTheLooks(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		before := len(r.fake.Calls())
		r.fake.Notify(provider.Change{All: true})
		time.Sleep(schedule.ResyncSpread)
		synctest.Wait()
		assert.Len(t, r.fake.Calls(), before+1)
	})
}
