package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// programsDir is where the builder of the images leaves the programs.
func (r release) programsDir() string { return filepath.Join(r.parts, "programs") }

// buildImages builds the programs, puts them into images and lists what is in them, and
// takes over what is handed out of that. The archives hold the very programs that the
// images do, so one list is for both.
func (r release) buildImages(ctx context.Context) error {
	parts, err := filepath.Abs(r.parts)
	if err != nil {
		return err
	}
	arguments := []string{"run", ".", "--tag", r.version.tag(), "--revision", r.commit,
		"--created", strconv.FormatInt(r.committed.Unix(), 10),
		"--out", parts, "--binaries", filepath.Join(parts, filepath.Base(r.programsDir()))}
	command := exec.CommandContext(ctx, "go", append(arguments, r.arguments()...)...)
	command.Dir = filepath.Join(r.root, "images")
	command.Stdout, command.Stderr = r.streams.Out, r.streams.Err
	if err := command.Run(); err != nil {
		return fmt.Errorf("building the images: %w", err)
	}
	return r.takeImages()
}

// takeImages gives the files of the images the names that they are handed out under.
func (r release) takeImages() error {
	names, err := filepath.Glob(filepath.Join(r.parts, "*.*"))
	if err != nil {
		return err
	}
	for _, path := range names {
		if err := os.Rename(path, filepath.Join(r.finished, r.imageName(filepath.Base(path)))); err != nil {
			return err
		}
	}
	return nil
}

// imageName turns "driver-linux-amd64.tar" into
// "leoflow-secrets-csi-driver_0.1.0_linux_amd64.image.tar".
func (r release) imageName(name string) string {
	base, kind, _ := strings.Cut(name, ".")
	switch {
	case base == "digests":
		return fmt.Sprintf("%s_%s_image-digests.txt", chartName, r.version)
	case kind == "tar":
		kind = "image.tar"
	}
	return r.stem(base) + "." + kind
}

// stem begins the names of all that is made of a program: "driver-linux-amd64", or
// "driver" for what is of all platforms.
func (r release) stem(program string) string {
	name, platform, some := strings.Cut(program, "-")
	stem := fmt.Sprintf("%s-%s_%s", chartName, name, r.version)
	if some {
		stem += "_" + strings.ReplaceAll(platform, "-", "_")
	}
	return stem
}
