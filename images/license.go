package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// licensePath is the product's own license in an image, and noticesPath those of the
// modules in its binary, most of which want to be handed on with it.
const (
	licensePath = "/licenses/LICENSE"
	noticesPath = "/licenses/THIRD_PARTY_LICENSES"
)

var licenseName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense)`)

// notices are the license texts of all that is compiled into a command: its modules'
// and Go's own. A text that several modules share is there once, below their names.
func notices(ctx context.Context, o options, name string, platform v1.Platform) ([]byte, error) {
	packages, err := dependencies(ctx, o, name, platform)
	if err != nil {
		return nil, fmt.Errorf("listing the modules of %s: %w", name, err)
	}
	files, err := licenseFiles(packages)
	if err != nil {
		return nil, err
	}
	owners := map[string][]string{} // by text
	for owner, files := range files {
		if len(files) == 0 {
			return nil, fmt.Errorf("%s has no license file, so it cannot be handed on", owner)
		}
		for _, file := range files {
			text, err := os.ReadFile(file.path)
			if err != nil {
				return nil, err
			}
			owners[string(text)] = append(owners[string(text)], owner+" "+file.name)
		}
	}
	return joined(owners), nil
}

// joined is all texts, by the first of their owners. No two texts have the same first
// one, so the order is always the same.
func joined(owners map[string][]string) []byte {
	var out bytes.Buffer
	first := func(text string) string { return slices.Min(owners[text]) }
	for _, text := range slices.SortedFunc(maps.Keys(owners), func(a, b string) int { return strings.Compare(first(a), first(b)) }) {
		names := slices.Sorted(slices.Values(owners[text]))
		_, _ = fmt.Fprintf(&out, "== %s\n\n%s\n\n", strings.Join(names, "\n== "), strings.TrimSpace(text))
	}
	return out.Bytes()
}

// dependency is a package, and the module that it is of; one stands for all of Go's own.
type dependency struct{ owner, root, directory string }

// dependencies are the packages of others in the command.
func dependencies(ctx context.Context, o options, name string, platform v1.Platform) ([]dependency, error) {
	command := goCommand(ctx, o, platform, "list", "-mod=readonly", "-deps", "-f",
		`{{if eq .ImportPath "runtime"}}Go{{"\t"}}{{.Root}}{{"\t"}}{{.Root}}`+
			`{{else if not (or .Standard .Module.Main)}}{{.Module.Path}} {{.Module.Version}}{{"\t"}}{{.Module.Dir}}{{"\t"}}{{.Dir}}{{end}}`, "./cmd/"+name)
	output, err := command.Output()
	if err != nil {
		return nil, err
	}
	var found []dependency
	for line := range strings.Lines(string(output)) {
		if fields := strings.Split(strings.TrimSpace(line), "\t"); len(fields) == 3 {
			found = append(found, dependency{fields[0], fields[1], fields[2]})
		}
	}
	return found, nil
}

// license is a file; its name is the path below its owner's root.
type license struct{ name, path string }

// licenseFiles are the licenses by owner: those in the directories of its packages, and
// in all above them up to its root.
func licenseFiles(packages []dependency) (map[string][]license, error) {
	files := map[string][]license{}
	seen := map[string]bool{}
	for _, p := range packages {
		files[p.owner] = append(files[p.owner], nil...)
		for directory := p.directory; strings.HasPrefix(directory, p.root) && !seen[directory]; directory = filepath.Dir(directory) {
			seen[directory] = true
			here, err := licensesIn(p.root, directory)
			if err != nil {
				return nil, err
			}
			files[p.owner] = append(files[p.owner], here...)
		}
	}
	return files, nil
}

// licensesIn are the directory's files that have a license's name and are no code.
func licensesIn(root, directory string) (found []license, err error) {
	entries, err := os.ReadDir(directory)
	for _, entry := range entries {
		if !entry.IsDir() && licenseName.MatchString(entry.Name()) && filepath.Ext(entry.Name()) != ".go" {
			path := filepath.Join(directory, entry.Name())
			found = append(found, license{strings.TrimPrefix(path, root+"/"), path})
		}
	}
	return found, err
}
