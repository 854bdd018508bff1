package main

import (
	"context"
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
	return b.on(ctx, 1, func(s *stack.Stack, all []stack.Pod) error { return b.exec(ctx, s.Kubelet.Target(all[0])) })
}

func (b *bench) exec(ctx context.Context, volume string) error {
	agent := filepath.Join(b.bin, "agent")
	var bare, wrapped durations
	for range execRounds {
		alone, err := timed(ctx, "/bin/true")
		if err != nil {
			return err
		}
		with, err := timed(ctx, agent, "exec", "--dir", volume, "--", "/bin/true")
		if err != nil {
			return err
		}
		bare, wrapped = append(bare, alone), append(wrapped, with)
	}
	const budget = 1500 * time.Microsecond
	added := wrapped.at(.5) - bare.at(.5)
	b.line("agent exec over a bare exec, 10 connections, p50", "+"+short(added), short(bare.at(.5))+" bare exec", times(wrapped.at(.5), bare.at(.5)), "≤ +"+short(budget), added <= budget, float64(added))

	info, err := os.Stat(agent)
	if err != nil {
		return err
	}
	const limit = 3_000_000
	b.line("agent binary", fmt.Sprintf("%.2f MB", float64(info.Size())/1e6), none, "", "≤ 3 MB", info.Size() <= limit, 0)
	return nil
}

func timed(ctx context.Context, program string, args ...string) (time.Duration, error) {
	command := exec.CommandContext(ctx, program, args...)
	start := time.Now()
	err := command.Run()
	return time.Since(start), err
}
