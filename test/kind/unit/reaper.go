package unit

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// reaper waits for every child of this process: the programs, and, as this is process 1
// of the node, whatever they leave behind. No other code may wait for a child.
type reaper struct {
	mutex sync.Mutex
	exits map[int]chan syscall.WaitStatus
}

// start runs the program. The channel, of one slot, gets its end. A start holds the
// mutex, so that a program that ends at once is not reaped before it is known.
func (r *reaper) start(path string, args []string, attributes *os.ProcAttr) (<-chan syscall.WaitStatus, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	process, err := os.StartProcess(path, args, attributes)
	if err != nil {
		return nil, err
	}
	exit := make(chan syscall.WaitStatus, 1)
	r.exits[process.Pid] = exit
	return exit, process.Release()
}

func (r *reaper) run(ctx context.Context) {
	children := make(chan os.Signal, 1) // a signal says "look": one slot is enough
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	for {
		r.reap()
		select {
		case <-children:
		case <-ctx.Done():
			return
		}
	}
}

func (r *reaper) reap() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
		if exit, ours := r.exits[pid]; ours {
			exit <- status
			delete(r.exits, pid)
		}
	}
}
