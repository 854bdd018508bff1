package unit

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// restartDelay keeps a program that cannot start from taking the machine.
const restartDelay = time.Second

// Supervisor keeps programs running. There can be one in a process, because it waits for
// all of the process's children.
type Supervisor struct {
	logs, sockets string
	log           *slog.Logger
	reaper        *reaper
}

// NewSupervisor writes each program's output to a file in logs, and keeps its own
// sockets in sockets; both must exist. It waits for children until the context ends; the
// programs go on then, because the end of process 1 is what ends them.
func NewSupervisor(ctx context.Context, logs, sockets string, log *slog.Logger) *Supervisor {
	s := &Supervisor{logs, sockets, log, &reaper{exits: map[int]chan syscall.WaitStatus{}}}
	go s.reaper.run(ctx)
	return s
}

// instance is one start of a unit.
type instance struct {
	exit  <-chan syscall.WaitStatus
	ready <-chan struct{} // nil for a unit that does not notify
	close func()
}

// Boot starts the units, one stage after the other, each when the one before it is
// ready. A unit that ends after that is started again until ctx is done; one that ends
// before it is ready is an error.
func (s *Supervisor) Boot(ctx context.Context, stages [][]Unit) error {
	for _, stage := range stages {
		instances := make([]*instance, len(stage))
		for i, unit := range stage {
			started, err := s.start(ctx, unit)
			if err != nil {
				return err
			}
			instances[i] = started
		}
		for i, unit := range stage {
			if err := s.await(ctx, unit, instances[i]); err != nil {
				return err
			}
			go s.keep(ctx, unit, instances[i])
		}
	}
	return nil
}

func (s *Supervisor) await(ctx context.Context, unit Unit, started *instance) error {
	if !unit.Notifies {
		return nil
	}
	select {
	case <-started.ready:
		s.log.Info("ready", "unit", unit.Name)
		return nil
	case status := <-started.exit:
		return fmt.Errorf("starting %s: it ended (%s) before it was ready; its log says why",
			unit.Name, describe(status))
	case <-ctx.Done():
		return fmt.Errorf("starting %s: %w", unit.Name, context.Cause(ctx))
	}
}

// keep starts the unit again whenever it ends.
func (s *Supervisor) keep(ctx context.Context, unit Unit, current *instance) {
	for {
		if current != nil {
			select {
			case status := <-current.exit:
				current.close()
				s.log.Warn("ended", "unit", unit.Name, "cause", describe(status))
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-time.After(restartDelay):
		case <-ctx.Done():
			return
		}
		next, err := s.start(ctx, unit)
		if err != nil {
			s.log.Error("not started", "unit", unit.Name, "error", err)
		}
		current = next
	}
}

func (s *Supervisor) start(ctx context.Context, unit Unit) (*instance, error) {
	started, err := s.run(ctx, unit)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", unit.Name, err)
	}
	return started, nil
}

func (s *Supervisor) run(ctx context.Context, unit Unit) (*instance, error) {
	path, err := exec.LookPath(unit.Name)
	if err != nil {
		return nil, err
	}
	files, err := s.openFiles(unit)
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	started := &instance{close: func() {}}
	environment := os.Environ()
	if unit.Notifies {
		notification, err := listen(s.sockets, unit.Name)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, notification.Close)
		started.ready = notification.ready()
		started.close = func() { stop(); notification.Close() }
		environment = append(environment, "NOTIFY_SOCKET="+notification.path)
	}
	started.exit, err = s.reaper.start(path, append([]string{unit.Name}, unit.Args...),
		&os.ProcAttr{Env: environment, Files: files})
	if err != nil {
		started.close()
	}
	return started, err
}

// openFiles are the program's standard input, output and error.
func (s *Supervisor) openFiles(unit Unit) ([]*os.File, error) {
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	log := filepath.Join(s.logs, unit.Name+".log")
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		closeAll([]*os.File{nothing})
		return nil, err
	}
	return []*os.File{nothing, output, output}, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close() // one is there twice; the second time is an error that says nothing
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal " + status.Signal().String()
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}
