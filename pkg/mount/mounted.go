//go:build linux

package mount

import (
	"errors"
	"fmt"
	"io/fs"
)

// Write makes the volume at target show content, all of it or nothing: write tells how.
func Write(target string, content Content) (Outcome, error) {
	if err := content.validate(); err != nil {
		return Outcome{}, fmt.Errorf("writing %s: %w", target, err)
	}
	volume, err := openVolume(target) // 1
	if err != nil {
		return Outcome{}, err
	}
	defer volume.close()
	outcome, err := volume.write(content)
	outcome.Memory, _ = volume.memory() // which was just asked for its usage, or is gone
	if err != nil {
		return outcome, fmt.Errorf("writing %s: %w", target, err)
	}
	return outcome, nil
}

// openVolume opens the volume at target. A directory on which nothing is mounted is
// refused, so that no value is ever written to the disk beneath.
func openVolume(target string) (volume, error) {
	dir, err := openTarget(target)
	if errors.Is(err, fs.ErrNotExist) {
		return volume{}, fmt.Errorf("opening %s: %w", target, ErrNotMounted)
	}
	if err != nil {
		return volume{}, err
	}
	defer dir.close()
	root, err := openRoot(dir)
	if err != nil {
		return volume{}, fmt.Errorf("opening %s: %w", target, err)
	}
	return volume{directory: root}, nil
}

func openRoot(dir directory) (directory, error) {
	at, err := mountOf(dir)
	if err != nil {
		return closed, err
	}
	if !at.isRoot {
		return closed, ErrNotMounted
	}
	if _, err := usageOf(dir); err != nil {
		return closed, err
	}
	return dir.enter(".")
}

// Current returns what the volume at target shows: ErrNoGeneration if nothing yet,
// layout.ErrManifest if its manifest cannot be used.
func Current(target string) (Generation, error) {
	volume, err := openVolume(target)
	if err != nil {
		return Generation{}, err
	}
	defer volume.close()
	current, top, err := volume.current()
	top.close()
	if err != nil {
		return Generation{}, fmt.Errorf("reading %s: %w", target, err)
	}
	return current, nil
}

// Stats tells how full the volume at target is: what it shows, of what it may show. The
// other half of the tmpfs is for the generation that comes next.
func Stats(target string) (Usage, error) {
	volume, err := openVolume(target)
	if err != nil {
		return Usage{}, err
	}
	defer volume.close()
	usage, err := usageOf(volume.directory)
	if err != nil {
		return Usage{}, fmt.Errorf("measuring %s: %w", target, err)
	}
	return Usage{Bytes: usage.Bytes.half(), Inodes: usage.Inodes.half()}, nil
}

// Renew puts newer tokens into the places of those that the volume at target shows: renew tells how.
func Renew(target string, tokens func(audience string) []byte, mode fs.FileMode, gid int) (clouds []string, err error) {
	volume, err := openVolume(target)
	if err != nil {
		return nil, err
	}
	defer volume.close()
	if clouds, err = volume.renew(tokens, mode, gid); err != nil {
		return clouds, fmt.Errorf("reading %s: %w", target, err)
	}
	return clouds, nil
}
