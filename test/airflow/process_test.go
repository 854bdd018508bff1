package airflow

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// process is something of Airflow that runs in the background; what it says goes to a
// file, which is searched for needles.
type process struct {
	name, log string
	command   *exec.Cmd
	done      chan struct{}
	err       error
}

// start starts a program by "agent exec", as the image of a task does.
func (h home) start(agent []string, name, program string, args, environ []string) (*process, error) {
	line := append(append([]string{}, agent...), "--", filepath.Join(h.venv, "bin", program))
	line = append(line, args...)
	if len(agent) == 0 {
		line = line[1:]
	}
	p := &process{name: name, log: filepath.Join(h.dir, "logs", name+".out"), done: make(chan struct{})}
	if err := os.MkdirAll(filepath.Dir(p.log), 0o755); err != nil {
		return nil, err
	}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p.command = h.command(context.Background(), line[0], line[1:], environ...)
	p.command.Stdout, p.command.Stderr = out, out
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = p.command.Wait()
	}()
	return p, nil
}

// alive tells why the process has ended.
func (p *process) alive() error {
	select {
	case <-p.done:
		said, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s has ended: %w\n%s", p.name, p.err, tail(string(said)))
	default:
		return nil
	}
}

// says returns once the process has printed a text.
func (p *process) says(ctx context.Context, text string) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		said, err := os.ReadFile(p.log)
		if err != nil || bytes.Contains(said, []byte(text)) {
			return err
		}
		select {
		case <-tick.C:
			if err := p.alive(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// killAll ends every process of a home and waits for those that were started here. Airflow's
// executors start sessions of their own, which no signal to a group reaches, and write over
// their environment. What all have in common is where they run.
func (h home) killAll(started []*process) {
	for h.killOnce() {
		continue // what was being started meanwhile
	}
	for _, each := range started {
		<-each.done
	}
}

// killOnce tells whether anybody was there who is not dead yet.
func (h home) killOnce() (found bool) {
	places, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, path := range places {
		if place, err := os.Readlink(path); err != nil || place != h.dir {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			found = syscall.Kill(pid, syscall.SIGKILL) == nil || found
		}
	}
	return found
}
