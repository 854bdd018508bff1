package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/leoflow/secrets-csi/test/stack"
)

// intoRounds is how often a directory is filled anew, and then changed.
const intoRounds = 20

// into measures a sidecar without a driver: from its start to the files, a rotation, what it has in memory, and
// 'agent exec' on the directory.
func (b *bench) into(ctx context.Context) (err error) {
	s, err := stack.Start(ctx, stack.Options{
		Bin: b.bin, Connections: connections("first"), Variables: "{}", WithoutDriver: true,
		Rules: strings.Replace(rules, "}]", ", direct: true}]", 1),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	token, err := s.Token(ctx, "--tenant=acme", "--dag=bench")
	if err != nil {
		return err
	}
	file := filepath.Join(s.Dir, "task.token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return err
	}
	var first, rotations durations
	var peak, idle int64
	for round := range intoRounds {
		dir := filepath.Join(s.Dir, fmt.Sprint("into-", round))
		began := time.Now()
		sidecar, err := stack.Run(filepath.Join(b.bin, "fetcher"), "--into="+dir, "--watch", "--connections="+ids(), "--task-token-file="+file,
			"--core-address="+s.Address(), "--core-server-name=core", "--core-ca="+s.PKI.CA())
		if err != nil {
			return err
		}
		took, err := until(ctx, dir, "", began)
		if err == nil {
			first = append(first, took)
			_, err = sidecar.WaitFor(ctx, "the directory is complete")
		}
		if err == nil {
			mark := fmt.Sprint("round-", round)
			began = time.Now()
			if err = s.WriteConnections(connections(mark)); err == nil {
				took, err = until(ctx, dir, mark, began)
				rotations = append(rotations, took)
			}
		}
		if err == nil && round == intoRounds-1 {
			err = b.exec(ctx, dir, "agent exec on that directory over a bare exec, p50")
		}
		peak, idle = max(peak, kib(sidecar, "VmHWM")), max(idle, kib(sidecar, "VmRSS"))
		if err = errors.Join(err, sidecar.Signal(syscall.SIGTERM), sidecar.Wait()); err != nil {
			return err
		}
	}
	const firstBudget, rotationBudget, peakBudget, idleBudget = 300 * time.Millisecond, time.Second, 40 << 10, 30 << 10
	b.line("fetcher --into, start to 10 connections, p99", short(first.at(.99)), none, "", "≤ "+short(firstBudget), first.at(.99) <= firstBudget, float64(first.at(.99)))
	b.line("rotation visible in that directory, p99", short(rotations.at(.99)), none, "", "≤ "+short(rotationBudget), rotations.at(.99) <= rotationBudget, float64(rotations.at(.99)))
	b.line("fetcher --into, RSS at most", mib(peak<<10), none, "", "≤ 40 MiB", peak <= peakBudget, float64(peak))
	b.line("fetcher --into, RSS after a rotation", mib(idle<<10), none, "", "≤ 30 MiB", idle <= idleBudget, float64(idle))
	return nil
}

// until waits for the mark in the last of the connections.
func until(ctx context.Context, dir, mark string, began time.Time) (time.Duration, error) {
	last := filepath.Join(dir, "connections", fmt.Sprintf("conn_%d", entriesPerVolume-1))
	ticker := time.NewTicker(100 * time.Microsecond)
	defer ticker.Stop()
	for ; ; <-ticker.C {
		if content, err := os.ReadFile(last); err == nil && strings.Contains(string(content), mark) {
			return time.Since(began), nil
		}
		if time.Since(began) > time.Minute || ctx.Err() != nil {
			return 0, fmt.Errorf("%s does not show %q", dir, mark)
		}
	}
}

// kib is a field of a process's status; 0 for one that has ended, whose error is another's to tell.
func kib(process *stack.Process, field string) (found int64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.PID()))
	_, after, _ := strings.Cut(string(text), field+":")
	_, _ = fmt.Sscan(after, &found)
	return found
}
