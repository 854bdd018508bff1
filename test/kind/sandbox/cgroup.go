package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hierarchies are where cgroups are mounted: one place, or with version 1 one for each
// controller.
func hierarchies(mountinfo []byte) []string {
	var mounted []string
	lines := bufio.NewScanner(bytes.NewReader(mountinfo))
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		kind, _, _ := strings.Cut(after, " ")
		if len(fields) > 4 && (kind == "cgroup" || kind == "cgroup2") {
			mounted = append(mounted, fields[4])
		}
	}
	slices.Sort(mounted)
	return slices.Compact(mounted)
}

func mountedHierarchies() ([]string, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	mounted := hierarchies(mountinfo)
	if len(mounted) == 0 {
		return nil, errors.New("no cgroup hierarchy is mounted; kubelet needs one")
	}
	return mounted, nil
}

// createCgroups makes the cgroup beneath which kubelet keeps those of the pods.
func createCgroups(name string) error {
	mounted, err := mountedHierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range mounted {
		if err := enableControllers(hierarchy); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(hierarchy, name), 0o755); err != nil {
			return fmt.Errorf("creating the cgroup: %w", err)
		}
	}
	return nil
}

// enableControllers lets children of the root of a version 2 hierarchy have whatever
// controllers it has.
func enableControllers(hierarchy string) error {
	controllers, err := os.ReadFile(filepath.Join(hierarchy, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // version 1
	}
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(controllers)) {
		control := filepath.Join(hierarchy, "cgroup.subtree_control")
		if err := os.WriteFile(control, []byte("+"+controller), 0); err != nil {
			return fmt.Errorf("enabling cgroup controller %s: %w", controller, err)
		}
	}
	return nil
}

// removeCgroups deletes the cgroups of that name with all beneath. Their processes must
// have ended.
func removeCgroups(name string) error {
	mounted, err := mountedHierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range mounted {
		if err := removeCgroup(filepath.Join(hierarchy, name)); err != nil {
			return fmt.Errorf("removing the cgroup: %w", err)
		}
	}
	return nil
}

// removeCgroup removes children first: a cgroup's files go with its directory, and only
// an empty one may go.
func removeCgroup(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeCgroup(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(path)
}
