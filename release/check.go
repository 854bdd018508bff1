package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// check builds the commit twice and compares.
func check(ctx context.Context, given string, o options, streams cli.Streams) (err error) {
	c, err := readCheckout(ctx, ".")
	if err != nil {
		return err
	}
	if given == "" {
		given = snapshot
	}
	work, err := os.MkdirTemp("", "leoflow-release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	builds := []rebuild{
		{"where all is warm", filepath.Join(work, "one"), nil},
		{"where nothing was compiled before", filepath.Join(work, "two", "much", "deeper"),
			[]string{"GOCACHE=" + filepath.Join(work, "cache"), "TZ=Asia/Kolkata"}},
	}
	var sums [2]string
	for i, b := range builds {
		say(streams, "== build %d of 2, %s", i+1, b.where)
		if sums[i], err = b.run(ctx, c, given, o, streams); err != nil {
			return err
		}
	}
	if different := differences(sums[0], sums[1]); len(different) > 0 {
		return fmt.Errorf("two builds of commit %.12s differ in: %s", c.commit, strings.Join(different, ", "))
	}
	say(streams, "two builds of commit %s are the same:\n%s", c.commit, strings.TrimSpace(sums[0]))
	return nil
}

// rebuild is a build of the commit in a clone.
type rebuild struct {
	where, directory string
	environment      []string
}

// run returns the build's checksums.
func (b rebuild) run(ctx context.Context, c checkout, given string, o options, streams cli.Streams) (string, error) {
	if _, err := git(ctx, c.root, "clone", "--quiet", "--no-checkout", c.root, b.directory); err != nil {
		return "", err
	}
	if _, err := git(ctx, b.directory, "checkout", "--quiet", "--detach", c.commit); err != nil {
		return "", err
	}
	out := filepath.Join(b.directory, "dist", "release")
	command := exec.CommandContext(ctx, "go", slices.Concat([]string{"run", "./release", "build", "--out", out}, o.arguments(), []string{given})...)
	command.Dir = b.directory
	command.Env = append(os.Environ(), b.environment...)
	command.Stdout, command.Stderr = streams.Out, streams.Err
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("building in %s: %w", b.directory, err)
	}
	sums, err := os.ReadFile(filepath.Join(out, sumsFile))
	return string(sums), err
}

// differences are the files that only one of the two lists has, or has so.
func differences(one, other string) []string {
	count := map[string]int{}
	for line := range strings.Lines(one + other) {
		count[line]++
	}
	files := map[string]bool{}
	for line, times := range count {
		if times == 1 {
			_, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
			files[name] = true
		}
	}
	return slices.Sorted(maps.Keys(files))
}
