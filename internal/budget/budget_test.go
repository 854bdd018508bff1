package budget

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chartLimit and chartVolume are the chart's.
const chartLimit, chartVolume = 256 * mebibyte, 16 * mebibyte

func TestTheChartsLimitHoldsFullVolumesAndTheLargestAnswer(t *testing.T) {
	b := New(chartLimit, nil)
	assert.Equal(t, int64(6), b.Volumes(chartVolume), "as NOTES of the chart say")
	assert.Equal(t, int64(LargestAnswer), b.LargestAnswer())
	assert.Equal(t, int64(chartVolume), b.VolumeSize(chartVolume))
	state := b.State()
	assert.Equal(t, int64(chartLimit-own), state.Volumes+state.Work)
}

// The rows are those of what the chart's NOTES say (test/chart, memory_test.go).
func TestVolumesOfALimit(t *testing.T) {
	for _, row := range []struct{ limit, size, volumes int64 }{
		{chartLimit, chartVolume, 6}, {512 * mebibyte, chartVolume, 22}, {1024 * mebibyte, 4 * mebibyte, 217},
		{128_000_000, 2 * mebibyte, 14}, {33_554_432, 512 << 10, 6},
	} {
		b := New(row.limit, nil)
		assert.Equal(t, row.volumes, b.Volumes(row.size), "%v", Bytes(row.limit))
		assert.Equal(t, row.size, b.VolumeSize(row.size), "%v", Bytes(row.limit))
	}
}

// What is admitted can be rotated: with its answer it never takes more than there is.
func TestEveryLimitHoldsWhatItAdmits(t *testing.T) {
	for _, limit := range []int64{mebibyte, 32 * mebibyte, 64 * mebibyte, 128 * mebibyte, 160 * mebibyte, chartLimit, 4 << 30} {
		b := New(limit, nil)
		state := b.State()
		assert.LessOrEqual(t, state.Volumes+state.Work, max(limit-own, limit/4), "%v", Bytes(limit))
		assert.LessOrEqual(t, Weight(b.LargestAnswer()), max(Weight(0), b.work.anyones()), "%v", Bytes(limit))
		assert.LessOrEqual(t, b.VolumeSize(1<<40), max(0, 2*b.LargestAnswer()))
	}
}

func TestWithoutALimitNothingIsRefused(t *testing.T) {
	b := New(0, func(int64) { t.Error("there is no limit to follow") })
	granted, err := b.Take("/a", "one", 1<<50, 0, true)
	require.NoError(t, err)
	assert.Equal(t, int64(1<<50), granted)
	turn, err := b.Enter(t.Context(), time.Second, "one", 1<<50)
	require.NoError(t, err)
	turn.Leave()
	assert.Equal(t, int64(chartVolume), b.VolumeSize(chartVolume))
	require.NoError(t, b.Admits("one"))
}

// fill has the namespace take as many volumes as it gets.
func fill(t *testing.T, b *Budget, namespace string, bytes int64) (count int) {
	t.Helper()
	for {
		target := fmt.Sprintf("/%s/%d", namespace, count)
		granted, err := b.Take(target, namespace, bytes, 0, true)
		if err != nil {
			var exhausted *Exhausted
			require.ErrorAs(t, err, &exhausted)
			return count
		}
		require.Equal(t, bytes, granted)
		b.Hold(target, bytes)
		count++
	}
}

func TestAQuarterIsKeptForWhoHoldsLittle(t *testing.T) {
	b := New(chartLimit, nil)
	assert.Equal(t, 4, fill(t, b, "evil", 16*mebibyte))
	fill(t, b, "evil", 64<<10)
	assert.LessOrEqual(t, b.State().HeldVolumes, b.volumes.anyones())
	require.Error(t, b.Admits("evil"))

	for i := range 8 {
		require.NoError(t, b.Admits(fmt.Sprint("honest", i)))
		assert.GreaterOrEqual(t, fill(t, b, fmt.Sprint("honest", i), 100<<10), 30)
	}
	assert.LessOrEqual(t, b.State().HeldVolumes, b.State().Volumes)
}

func TestARefusalNamesNobodyElse(t *testing.T) {
	b := New(chartLimit, nil)
	fill(t, b, "evil", 16*mebibyte)
	_, err := b.Take("/bank", "bank", 16*mebibyte, 0, true)
	require.EqualError(t, err, "this node's driver has no memory left for a volume of 16.0 MiB (those of namespace bank take 0 KiB on this node): "+
		"ask for fewer or smaller entries, wait until pods of this node end, or have the driver's memory limit raised")
	assert.Equal(t, []Part{{"evil", 64 * mebibyte}}, b.State().ByNamespace)
}

func TestALiveVolumeGrowsAsFarAsThereIsRoom(t *testing.T) {
	b := New(chartLimit, nil)
	require.Equal(t, 4, fill(t, b, "evil", 16*mebibyte))
	left := b.volumes.anyones() - b.volumes.used

	granted, err := b.Take("/evil/0", "evil", 17*mebibyte+left, 16*mebibyte, false)
	require.NoError(t, err)
	assert.Equal(t, 16*mebibyte+left, granted)
	granted, err = b.Take("/evil/1", "evil", 16*mebibyte, 16*mebibyte, false)
	require.NoError(t, err)
	assert.Equal(t, int64(16*mebibyte), granted, "what does not grow is always granted")
	b.Hold("/evil/0", mebibyte)
	granted, err = b.Take("/evil/1", "evil", 17*mebibyte, 16*mebibyte, false)
	require.NoError(t, err)
	assert.Equal(t, int64(17*mebibyte), granted, "what another volume gives up may be had")
}

// A pod that holds open what is gone cannot fill the node with old generations.
func TestFilesThatAreHeldOpenCount(t *testing.T) {
	b := New(chartLimit, nil)
	require.Equal(t, 4, fill(t, b, "evil", 16*mebibyte))
	_, err := b.Take("/evil/0", "evil", 16*mebibyte, 16*mebibyte, false)
	require.NoError(t, err)
	b.Hold("/evil/0", 32*mebibyte) // both generations are there
	_, err = b.Take("/evil/0", "evil", 16*mebibyte, 32*mebibyte, false)
	var exhausted *Exhausted
	require.ErrorAs(t, err, &exhausted)
	assert.Equal(t, "evil", exhausted.Namespace)
}

func TestVolumesOfAnEarlierProcessCount(t *testing.T) {
	b := New(chartLimit, nil)
	for i := range 4 {
		b.Recall(fmt.Sprint("/old/", i), 16*mebibyte)
	}
	_, err := b.Take("/new", "evil", 16*mebibyte, 0, true)
	require.ErrorAs(t, err, new(*Exhausted), "anyone's part is nearly full")
	b.Claim("/old/0", "evil")
	b.Claim("/new", "evil")
	assert.Equal(t, []Part{{"", 48 * mebibyte}, {"evil", 16 * mebibyte}}, b.State().ByNamespace)
	b.Hold("/old/1", 0)
	b.Hold("/old/2", 0)
	assert.Equal(t, int64(32*mebibyte), b.State().HeldVolumes)
	require.NoError(t, b.Admits("evil"))
}

func TestTheCollectorsLimitFollowsTheVolumes(t *testing.T) {
	var limits []int64
	b := New(chartLimit, func(limit int64) { limits = append(limits, limit/mebibyte) })
	require.Equal(t, []int64{232}, limits)
	b.Recall("/a", 16*mebibyte)
	b.Recall("/b", mebibyte)
	b.Hold("/a", 0)
	b.Hold("/b", 0)
	assert.Equal(t, []int64{232, 216, 212, 228, 232}, limits)
	b.Recall("/a", chartLimit)
	assert.Equal(t, int64(24), limits[len(limits)-1], "a heap that cannot shrink has the collector run for nothing")
}

func enter(t *testing.T, b *Budget, namespace string, bytes int64) *Turn {
	t.Helper()
	turn, err := b.Enter(t.Context(), time.Minute, namespace, bytes)
	require.NoError(t, err)
	return turn
}

func TestDeliveriesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(chartLimit, nil)
		large := b.work.anyones()
		first := enter(t, b, "evil", large)
		order := make(chan string, 8)
		wait := func(namespace, name string, bytes int64) {
			go func() {
				turn := enter(t, b, namespace, bytes)
				order <- name
				turn.Leave()
			}()
			synctest.Wait()
		}
		wait("evil", "evil 1", large)
		wait("evil", "evil 2", large)
		wait("bank", "bank 1", large)
		wait("bank", "bank 2", Weight(64<<10))
		assert.Empty(t, order, "each namespace's in their order")
		wait("shop", "shop", Weight(64<<10))
		require.Len(t, order, 1, "a small one of another namespace waits for nobody")
		assert.Equal(t, "shop", <-order)
		first.Leave()
		synctest.Wait()
		assert.Equal(t, "evil 1", <-order)
		assert.Equal(t, "bank 1", <-order)
		assert.ElementsMatch(t, []string{"evil 2", "bank 2"}, []string{<-order, <-order})
		assert.Zero(t, b.State().HeldWork)
		assert.Empty(t, b.queue.waiting)
		assert.Empty(t, b.queue.namespaces)
	})
}

// What waits for much is not overtaken for ever by what takes less.
func TestALargeDeliveryIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(chartLimit, nil)
		middle := b.work.anyones() / 2
		first := enter(t, b, "one", middle)
		entered := make(chan string, 2)
		for _, waits := range []struct {
			namespace string
			bytes     int64
		}{{"large", b.work.anyones()}, {"other", middle}} {
			go func() {
				turn := enter(t, b, waits.namespace, waits.bytes)
				entered <- waits.namespace
				turn.Leave()
			}()
			synctest.Wait()
		}
		assert.Empty(t, entered)
		first.Leave()
		assert.Equal(t, "large", <-entered)
		assert.Equal(t, "other", <-entered)
	})
}

func TestWhoWaitsMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(chartLimit, nil)
		first := enter(t, b, "evil", b.work.anyones())
		_, err := b.Enter(t.Context(), time.Second, "evil", 10*mebibyte)
		require.EqualError(t, err, fmt.Sprintf("this node's driver has no memory free now for a delivery that takes up to 10.0 MiB "+
			"(those of namespace evil that are under way have %v): it is tried again", Bytes(b.work.anyones())))
		cause := errors.New("kubelet has gone")
		gone, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		_, err = b.Enter(gone, time.Second, "evil", 10*mebibyte)
		require.EqualError(t, err, "waiting for memory: kubelet has gone")
		require.ErrorIs(t, err, cause)
		late, cancelLate := context.WithTimeout(t.Context(), time.Second)
		defer cancelLate()
		_, err = b.Enter(late, time.Minute, "evil", 10*mebibyte)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		first.Leave()
		assert.Zero(t, b.State().HeldWork)
		assert.Empty(t, b.queue.namespaces)
	})
}

// One that gives up does not cost the others of its namespace their turn.
func TestGivingUpKeepsTheNamespacesPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(chartLimit, nil)
		large := b.work.anyones()
		first := enter(t, b, "first", large)
		order := make(chan string, 4)
		wait := func(namespace string) {
			go func() {
				turn := enter(t, b, namespace, large)
				order <- namespace
				turn.Leave()
			}()
			synctest.Wait()
		}
		hasty, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() {
			_, err := b.Enter(hasty, time.Minute, "bank", large)
			gaveUp <- err
		}()
		synctest.Wait()
		wait("bank")
		wait("evil")
		wait("evil")
		cancel()
		require.ErrorIs(t, <-gaveUp, context.Canceled)
		first.Leave()
		synctest.Wait()
		assert.Equal(t, []string{"bank", "evil", "evil"}, []string{<-order, <-order, <-order})
	})
}

func TestATurnIsResized(t *testing.T) {
	b := New(chartLimit, nil)
	turn := enter(t, b, "evil", b.work.anyones())
	assert.Equal(t, int64(mebibyte), turn.Resize(mebibyte))
	assert.Equal(t, int64(mebibyte), b.State().HeldWork)
	enter(t, b, "evil", 10*mebibyte).Leave()
	assert.Equal(t, int64(3*mebibyte), turn.Resize(3*mebibyte))
	other := enter(t, b, "other", 10*mebibyte)
	assert.Equal(t, b.work.anyones()-10*mebibyte, turn.Resize(chartLimit), "as much as there is")
	other.Leave()
	turn.Leave()
	turn.Leave()
	assert.Zero(t, b.State().HeldWork)
}

// What earlier processes left beyond the volumes' part is not there for deliveries.
func TestDeliveriesDoWithoutWhatIsHeldBeyond(t *testing.T) {
	b := New(chartLimit, nil)
	b.Recall("/old", b.volumes.size+b.work.anyones()/2)
	_, err := b.Enter(t.Context(), time.Second, "a", b.work.anyones())
	var exhausted *Exhausted
	require.True(t, errors.As(err, &exhausted) && exhausted.Work)
	enter(t, b, "a", b.work.anyones()/4).Leave()
}
