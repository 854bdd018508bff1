package secretmanager

import (
	"context"

	"golang.org/x/sync/singleflight"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

// flights are the calls under way that several callers may wait for.
type flights struct{ group singleflight.Group }

// join waits for the call that is under way for the key, or makes one, which outlives its caller.
// It reports whether the call was made here. A panic is the error of all who wait: singleflight would have it
// end the process.
func (f *flights) join(ctx context.Context, key Key, call func() (any, error)) (any, bool, error) {
	led := false
	flight := f.group.DoChan(string(key[:]), func() (got any, err error) {
		led = true
		defer func() {
			if value := recover(); value != nil {
				got, err = nil, &logkey.Panic{About: logkey.OfPanic(value)}
			}
		}()
		return call()
	})
	select {
	case <-ctx.Done():
		return nil, false, givenUp(ctx)
	case result := <-flight:
		return result.Val, led, result.Err
	}
}
