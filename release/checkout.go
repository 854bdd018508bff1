package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkout is the state of a git work tree.
type checkout struct {
	root   string
	commit string
	// committed is the commit's time: everything in a release was made then.
	committed time.Time
	// tags are the commits by the names of the tags on them.
	tags map[string]string
	// changes are git's words for what is in no commit.
	changes []string
}

// readCheckout asks git about the work tree at the directory.
func readCheckout(ctx context.Context, directory string) (checkout, error) {
	root, err := git(ctx, directory, "rev-parse", "--show-toplevel")
	if err != nil {
		return checkout{}, fmt.Errorf("looking for the commit to release: %w", err)
	}
	head, errHead := git(ctx, directory, "log", "-1", "--format=%H %ct")
	tags, errTags := git(ctx, directory, "for-each-ref", "refs/tags", "--format=%(refname:strip=2) %(objectname) %(*objectname)")
	changes, errChanges := git(ctx, directory, "status", "--porcelain")
	if err := errors.Join(errHead, errTags, errChanges); err != nil {
		return checkout{}, fmt.Errorf("asking git about the commit: %w", err)
	}
	commit, seconds, _ := strings.Cut(head[0], " ")
	committed, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return checkout{}, fmt.Errorf("reading the commit's time: %w", err)
	}
	return checkout{root[0], commit, time.Unix(committed, 0).UTC(), parseTags(tags), changes}, nil
}

// parseTags reads lines of name, object, and for annotated tags what that points at.
func parseTags(lines []string) map[string]string {
	tags := map[string]string{}
	for _, line := range lines {
		fields := strings.Fields(line)
		tags[fields[0]] = fields[len(fields)-1]
	}
	return tags
}

// versions are those that the commit is tagged as.
func (c checkout) versions() []version {
	var found []version
	for _, name := range slices.Sorted(maps.Keys(c.tags)) {
		if v, err := parseVersion(name); err == nil && name == v.tag() && c.tags[name] == c.commit {
			found = append(found, v)
		}
	}
	return found
}

// git returns the lines that a git command prints.
func git(ctx context.Context, directory string, args ...string) ([]string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = directory
	output, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(string(output), "\n"), func(line string) bool { return line == "" }), nil
}
