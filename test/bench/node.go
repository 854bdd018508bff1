package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/test/stack"
)

// node fills a node with 110 volumes of ten entries, and measures the driver's memory
// and a rotation of all of them.
func (b *bench) node(ctx context.Context) error {
	return b.on(ctx, podsPerNode, func(s *stack.Stack, all []stack.Pod) error {
		if err := b.rotation(ctx, s, all); err != nil {
			return err
		}
		return b.memory(s)
	}, "--log-level=debug")
}

const rotations = 20

// fetches counts the calls that core has logged, and not the decisions in them.
func fetches(s *stack.Stack) int {
	return strings.Count(s.Core.Output(), `"msg":"call","method":"/leoflow.secrets.v1.SecretsService/Fetch"`)
}

// rotation changes one connection that all volumes have, and measures when each shows
// it. The floor is as many bare swaps of a link on a tmpfs, one after the other, after
// each change.
func (b *bench) rotation(ctx context.Context, s *stack.Stack, all []stack.Pod) error {
	var delays, floors durations
	before := fetches(s)
	for round := range rotations {
		mark := "password-r" + strconv.Itoa(round)
		watch, err := s.Kubelet.WatchSwaps(all...)
		if err != nil {
			return err
		}
		text := strings.Replace(connections("first"), "password-first", mark, 1)
		start := time.Now()
		if err := s.WriteConnections(text); err != nil {
			return err
		}
		found, err := watch.Wait(ctx, start)
		watch.Close()
		if err != nil {
			return err
		}
		delays = append(delays, found...)
		floor, err := bareSwaps(filepath.Join(s.Dir, "bare"), len(all))
		if err != nil {
			return err
		}
		floors = append(floors, floor)
	}
	calls := float64(fetches(s)-before) / rotations
	floor, p99 := floors.at(.5), delays.at(.99)
	b.times("rotation visible in all of 110 volumes, p50", delays.at(.5), floor, "for 110 bare swaps", 0)
	b.times("rotation visible in all of 110 volumes, p99", p99, floor, "for 110 bare swaps", 3.2)
	b.times("rotation visible in all of 110 volumes, max", delays.at(1), floor, "for 110 bare swaps", 0)
	b.line("calls at core for a rotation, 110 pods alike", fmt.Sprintf("%.2f", calls), none, "", "1", calls == 1, calls)
	return nil
}

// bareSwaps makes n generations of ten files and swaps a link to each.
func bareSwaps(dir string, n int) (took time.Duration, err error) {
	if err := mountBare(dir); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unmountBare(dir)) }()
	start := time.Now()
	for i := range n {
		generation := filepath.Join(dir, strconv.Itoa(i))
		if err := errors.Join(os.Mkdir(generation, 0o700), writeBare(generation)); err != nil {
			return 0, err
		}
		err := errors.Join(os.Symlink(generation, filepath.Join(dir, "next")),
			os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "data")),
			os.RemoveAll(filepath.Join(dir, strconv.Itoa(i-1))))
		if err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// rollup is what the kernel knows of the memory of driver and fetcher together, in bytes.
func rollup(s *stack.Stack) (map[string]int64, error) {
	figures := map[string]int64{}
	for _, process := range []*stack.Process{s.Driver, s.Fetcher} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", process.PID()))
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[2] == "kB" {
				kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
				if err != nil {
					return nil, err
				}
				figures[strings.TrimSuffix(fields[0], ":")] += kilobytes << 10
			}
		}
	}
	return figures, nil
}

// memory reads what the kernel says of driver and fetcher.
func (b *bench) memory(s *stack.Stack) error {
	figures, err := rollup(s)
	if err != nil {
		return err
	}
	var usage unix.Statfs_t
	if err := unix.Statfs(s.Kubelet.Target(stack.Pod{UID: "uid-0"}), &usage); err != nil {
		return err
	}
	pages := int64(usage.Blocks-usage.Bfree) * usage.Bsize
	b.line("driver and fetcher, 110 volumes × 10 entries, anonymous", mib(figures["Anonymous"]), none, "", "≤ 16 MiB", figures["Anonymous"] <= 16<<20, float64(figures["Anonymous"]))
	b.line("driver and fetcher, 110 volumes × 10 entries, RSS", mib(figures["Rss"]), none, "", "≤ 72 MiB", figures["Rss"] <= 72<<20, float64(figures["Rss"]))
	b.line("tmpfs pages of those volumes", mib(pages*podsPerNode), none, "", none, true, 0)
	return nil
}
