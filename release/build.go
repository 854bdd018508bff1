package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// release is one that is being built.
type release struct {
	checkout
	options
	version version
	// parts is where tools leave what they make, finished where the release comes
	// together. Nothing of it is at its place before all is.
	parts, finished string
	streams         cli.Streams
}

// build makes the release and replaces the directory out by it.
func build(ctx context.Context, given, out string, o options, streams cli.Streams) (err error) {
	begun := time.Now()
	c, err := readCheckout(ctx, ".")
	if err != nil {
		return err
	}
	v, err := c.choose(given)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(out), ".release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	r := release{c, o, v, filepath.Join(work, "parts"), filepath.Join(work, "finished"), streams}
	say(streams, "%s is commit %s of %s", v.tag(), c.commit, c.committed.Format(time.DateOnly))
	if err := r.make(ctx); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(out), os.Rename(r.finished, out)); err != nil {
		return err
	}
	return r.summarise(out, time.Since(begun))
}

// make runs the steps.
func (r release) make(ctx context.Context) error {
	for _, directory := range []string{r.parts, r.finished} {
		if err := os.Mkdir(directory, 0o755); err != nil {
			return err
		}
	}
	for i, step := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"programs and images for " + r.platforms, r.buildImages},
		{"archives of the programs", r.packPrograms},
		{"the chart", r.packChart},
		{"checksums", r.writeSums},
	} {
		say(r.streams, "%d/4 %s", i+1, step.what)
		if err := step.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// summarise says what there is. The checksum of the checksums stands for the whole.
func (r release) summarise(out string, took time.Duration) error {
	files, bytes := 0, int64(0)
	err := filepath.WalkDir(out, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		files, bytes = files+1, bytes+info.Size()
		return err
	})
	if err != nil {
		return err
	}
	sum, err := sumOf(filepath.Join(out, sumsFile))
	if err != nil {
		return err
	}
	say(r.streams, "%s: %d files, %.1f MB, in %s\n%s  %s", out, files, float64(bytes)/1e6, took.Round(time.Second), sum, sumsFile)
	return nil
}
