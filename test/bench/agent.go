package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/leoflow/secrets-csi/test/stack"
)

const execRounds = 400

// agent measures 'agent exec' before a program against the program alone, in turn.
func (b *bench) agent(ctx context.Context) error {
	return b.on(ctx, 1, func(s *stack.Stack, all []stack.Pod) error {
		if err := b.exec(ctx, s.Kubelet.Target(all[0]), "agent exec over a bare exec, 10 connections, p50"); err != nil {
			return err
		}
		info, err := os.Stat(b.agentProgram())
		if err != nil {
			return err
		}
		const limit = 3_000_000
		b.line("agent binary", fmt.Sprintf("%.2f MB", float64(info.Size())/1e6), none, "", "≤ 3 MB", info.Size() <= limit, 0)
		return nil
	})
}

func (b *bench) agentProgram() string { return filepath.Join(b.bin, "agent") }

// exec is the row of that name, on a volume or on a directory. It measures what a pod runs: the copy that 'agent install'
// makes. What the linker has just written lies in smaller pieces in memory, and takes 0.2 ms more to start.
func (b *bench) exec(ctx context.Context, volume, what string) (err error) {
	dir, err := os.MkdirTemp("", "leoflow-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if _, err := timed(ctx, b.agentProgram(), "install", dir); err != nil {
		return fmt.Errorf("agent install: %w", err)
	}
	installed := filepath.Join(dir, "agent")
	var bare, wrapped durations
	for range execRounds {
		alone, err := timed(ctx, "/bin/true")
		if err != nil {
			return err
		}
		with, err := timed(ctx, installed, "exec", "--dir", volume, "--", "/bin/true")
		if err != nil {
			return err
		}
		bare, wrapped = append(bare, alone), append(wrapped, with)
	}
	const budget = 1500 * time.Microsecond
	added := wrapped.at(.5) - bare.at(.5)
	b.line(what, "+"+short(added), short(bare.at(.5))+" bare exec", times(wrapped.at(.5), bare.at(.5)), "≤ +"+short(budget), added <= budget, float64(added))
	return nil
}

func timed(ctx context.Context, program string, args ...string) (time.Duration, error) {
	command := exec.CommandContext(ctx, program, args...)
	start := time.Now()
	err := command.Run()
	return time.Since(start), err
}
