package console

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Programs is the directory of the stand-ins for programs that a reader has and no test.
const Programs = "test/console/bin"

// notChecked are the directories that a fresh checkout has not.
var notChecked = []string{".git", ".cache", "bin", "dist"}

// Checkout copies the checkout at root to dir, without what was built in it: documents are
// tried as if they were read there.
func Checkout(root, dir string) error {
	return walk(root, func(path string, entry fs.DirEntry) error {
		to := filepath.Join(dir, path)
		if entry.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		content, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(to, content, info.Mode().Perm())
	})
}

// Documents are the texts of all documents of the checkout at root, by their paths there.
func Documents(root string) (map[string]string, error) {
	found := map[string]string{}
	return found, walk(root, func(path string, entry fs.DirEntry) error {
		if entry.IsDir() || filepath.Ext(path) != ".md" || strings.Contains(path, "testdata") {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		found[path] = string(text)
		return err
	})
}

// Commanding are the documents of the checkout that may tell their readers to do something.
// The error names every line that does not follow the rules.
func Commanding(root string) (all []Document, err error) {
	texts, err := Documents(root)
	if err != nil {
		return nil, err
	}
	var mistakes []error
	for _, path := range slices.Sorted(maps.Keys(texts)) {
		if slices.ContainsFunc(tellNobody, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
			continue
		}
		document, err := Parse(path, texts[path])
		all, mistakes = append(all, document), append(mistakes, err)
	}
	return all, errors.Join(mistakes...)
}

// tellNobody are documents of what was decided or changed, and of the suite that would have
// to run itself.
var tellNobody = []string{"CHANGELOG.md", "docs/adr/", "test/kind/README.md"}

// walk goes through directories and regular files, by their paths below root.
func walk(root string, visit func(path string, entry fs.DirEntry) error) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case slices.Contains(notChecked, relative) && entry.IsDir():
			return fs.SkipDir
		case slices.Contains(notChecked, relative): // .git is a file in a worktree of git
			return nil
		case !entry.IsDir() && !entry.Type().IsRegular():
			return nil
		}
		return visit(relative, entry)
	})
}
