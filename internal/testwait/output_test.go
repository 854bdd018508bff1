package testwait

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAnOutputIsAwaitedUpToTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out Output
		began := time.Now()
		for i := range 3 {
			time.AfterFunc(time.Duration(i+1)*time.Second, func() { fmt.Fprintln(&out, "line", i) })
		}
		out.Await(t, "line 1")
		out.Await(t, "line 1\n")
		assert.Equal(t, 2*time.Second, time.Since(began))

		f := &failing{TB: t}
		out.Await(f, "line 3")
		assert.Equal(t, []string{"\"line 3\" was not written within 1m0s, but:\nline 0\nline 1\nline 2\n"}, f.with)
		assert.Equal(t, 2*time.Second+Limit, time.Since(began))

		out.Reset()
		assert.Empty(t, out.String())
	})
}
