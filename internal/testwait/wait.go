// Package testwait gives tests a limit for what they wait for, so that what never comes
// fails one test, and by name. Bubbles of testing/synctest need none: they end when all
// that is in them waits.
package testwait

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// Limit is more than what comes at once takes on a machine that has much else to do.
const Limit = time.Minute

// Receive returns the next value of a channel that is not to be closed yet.
func Receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	value, open := next(t, from)
	if !open {
		t.Fatalf("the channel is closed, but a value was to come")
	}
	return value
}

// Closed returns once a channel is closed that nothing else is said by.
func Closed[T any](t testing.TB, channel <-chan T) {
	t.Helper()
	if value, open := next(t, channel); open {
		t.Fatalf("the channel was to be closed, but %v came", value)
	}
}

func next[T any](t testing.TB, from <-chan T) (value T, open bool) {
	t.Helper()
	timer := time.NewTimer(Limit)
	defer timer.Stop()
	select {
	case value, open = <-from:
	case <-timer.C:
		t.Fatalf("nothing came within %v", Limit)
	}
	return value, open
}

// Context ends with the limit, or with the test's clean-up; what was registered for that
// later than this may still use it.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), Limit)
	t.Cleanup(cancel)
	return ctx
}

// Command is a program that is killed at the limit. It may leave children behind that hold
// its output open; they are not waited for.
func Command(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(Context(t), program, args...)
	command.WaitDelay = time.Second
	return command
}
