package testwait

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// failing keeps what a test fails with, and goes on.
type failing struct {
	testing.TB
	with []string
}

func (*failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.with = append(f.with, fmt.Sprintf(format, args...))
}

func TestWaitingEndsAtTheLimit(t *testing.T) {
	for _, wait := range []func(testing.TB, <-chan int){
		func(t testing.TB, from <-chan int) { Receive(t, from) }, Closed[int],
	} {
		synctest.Test(t, func(t *testing.T) {
			f, began := &failing{TB: t}, time.Now()
			wait(f, make(chan int))
			assert.Equal(t, Limit, time.Since(began))
			assert.Equal(t, "nothing came within 1m0s", f.with[0])
		})
	}
}

func TestAValueAndAnEndAreTwoThings(t *testing.T) {
	channel, f := make(chan int, 2), &failing{TB: t}
	channel <- 5
	channel <- 6
	close(channel)
	assert.Equal(t, 5, Receive(t, channel))
	Closed(f, channel)
	Closed(t, channel)
	Receive(f, channel)
	assert.Equal(t, []string{"the channel was to be closed, but 6 came", "the channel is closed, but a value was to come"}, f.with)
}

func TestContextEndsAtTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, began := Context(t), time.Now()
		<-ctx.Done()
		assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
		assert.Equal(t, Limit, time.Since(began))
	})
}

// A program whose child holds its output is over when the program is.
func TestCommandWaitsForNoChild(t *testing.T) {
	output, err := Command(t, "sh", "-c", "sleep 1000 & echo $!").Output()
	assert.ErrorContains(t, err, "WaitDelay")
	_ = Command(t, "kill", string(output[:len(output)-1])).Run()
}
