package deliver

import "sync"

// targets are the target paths that something is being done to: at each, one thing at a
// time, whether a volume is published there or not. Only system calls on memory happen
// while one is held.
type targets struct {
	mu   sync.Mutex
	held map[string]*target
}

type target struct {
	sync.Mutex
	// users hold it or wait for it.
	users int
}

// lock returns what gives the path up again.
func (t *targets) lock(path string) (unlock func()) {
	t.mu.Lock()
	one := t.held[path]
	if one == nil {
		one = &target{}
		t.held[path] = one
	}
	one.users++
	t.mu.Unlock()
	one.Lock()
	return func() {
		one.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(t.held, path)
		}
	}
}
