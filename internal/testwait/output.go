package testwait

import (
	"bytes"
	"strings"
	"sync"
	"testing"
)

// Output collects what is written, from every goroutine, and may be read meanwhile. Its zero value is
// empty.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
	// more is closed at the next write; nil while nobody waits.
	more chan struct{}
}

func (o *Output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
	return o.text.Write(text)
}

// Reset forgets what was written.
func (o *Output) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Await returns once the output contains part.
func (o *Output) Await(t testing.TB, part string) {
	t.Helper()
	ctx := Context(t)
	for {
		text, more := o.look()
		if strings.Contains(text, part) {
			return
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("%q was not written within %v, but:\n%s", part, Limit, text)
			return
		}
	}
}

func (o *Output) look() (text string, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return o.text.String(), o.more
}
