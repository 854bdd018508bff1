// Package build makes the node binary, once for each state of what it is made from.
package build

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// Versions lists the Kubernetes versions that the node's source has a modfile for, the
// oldest first.
func Versions(source string) ([]string, error) {
	modfiles, err := filepath.Glob(filepath.Join(source, "kubernetes-v*.mod"))
	if err != nil {
		return nil, err
	}
	if len(modfiles) == 0 {
		return nil, fmt.Errorf("no kubernetes-*.mod in %q: run this in test/kind", source)
	}
	versions := make([]string, len(modfiles))
	for i, modfile := range modfiles {
		name := strings.TrimSuffix(filepath.Base(modfile), ".mod")
		versions[i] = strings.TrimPrefix(name, "kubernetes-")
	}
	slices.SortFunc(versions, semver.Compare)
	return versions, nil
}

// Resolve finds the version that is asked for: a whole one, a minor ("v1.36" or "1.36"),
// or, if nothing is asked for, the newest.
func Resolve(source, asked string) (string, error) {
	versions, err := Versions(source)
	if err != nil {
		return "", err
	}
	if asked == "" {
		return versions[len(versions)-1], nil
	}
	wanted := "v" + strings.TrimPrefix(asked, "v")
	for _, version := range slices.Backward(versions) {
		if version == wanted || semver.MajorMinor(version) == wanted {
			return version, nil
		}
	}
	return "", fmt.Errorf("kubernetes version %s has no modfile, only %s; 'go run ./pin VERSION' makes one",
		asked, strings.Join(versions, ", "))
}
