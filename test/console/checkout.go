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

// fresh is a checkout without what was built in it: documents are tried as if they were read there.
type fresh struct{ fs.FS }

// ReadDir implements fs.ReadDirFS. In a worktree .git is a file.
func (f fresh) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		built := name == "." && slices.Contains([]string{".git", ".cache", "bin", "dist"}, e.Name())
		return built || !e.IsDir() && !e.Type().IsRegular()
	}), err
}

// Checkout copies the checkout at root to dir.
func Checkout(root, dir string) error { return os.CopyFS(dir, fresh{os.DirFS(root)}) }

// Documents are the texts of all documents of the checkout at root, by their paths there.
func Documents(root string) (map[string]string, error) {
	found, tree := map[string]string{}, fresh{os.DirFS(root)}
	return found, fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" || strings.Contains(path, "testdata") {
			return err
		}
		text, err := fs.ReadFile(tree, path)
		found[path] = string(text)
		return err
	})
}

// Commanding are the documents of the checkout that may tell their readers to do something: not
// those of what was decided or changed, and not that of the suite that would have to run itself.
// The error names every line that does not follow the rules.
func Commanding(root string) (all []Document, err error) {
	texts, err := Documents(root)
	if err != nil {
		return nil, err
	}
	var mistakes []error
	tellNobody := []string{"CHANGELOG.md", "docs/adr/", "test/kind/README.md", "docs/migration/in-place.md"}
	for _, path := range slices.Sorted(maps.Keys(texts)) {
		if slices.ContainsFunc(tellNobody, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
			continue
		}
		document, err := Parse(path, texts[path])
		all, mistakes = append(all, document), append(mistakes, err)
	}
	return all, errors.Join(mistakes...)
}
