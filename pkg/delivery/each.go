package delivery

import "sync"

// each calls do with every number below count, no more than limit at once, and returns
// when all calls have.
func each(count, limit int, do func(i int)) {
	var calls sync.WaitGroup
	slots := make(chan struct{}, limit)
	for i := range count {
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	calls.Wait()
}
