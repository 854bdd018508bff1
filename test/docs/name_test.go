package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	citedTest  = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	testInCode = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w+)\(`)
	citedPath  = regexp.MustCompile("`((?:pkg|cmd|internal|api|test|tools|docs)/[\\w./-]*)`")
	citedFile  = regexp.MustCompile("`(\\w+\\.go)`")
	citedLink  = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
)

func TestEveryTestAndFileThatIsNamedExists(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		there[entry.Name()] = true
		text, err := os.ReadFile(path)
		for _, match := range testInCode.FindAllStringSubmatch(string(text), -1) {
			there[match[1]] = true
		}
		return err
	})
	require.NoError(t, err)
	for path, text := range documents(t) {
		for _, name := range citedTest.FindAllString(text, -1) {
			assert.True(t, there[name], "%s names %s", path, name)
		}
		for _, match := range citedFile.FindAllStringSubmatch(text, -1) {
			assert.True(t, there[match[1]], "%s names %s", path, match[1])
		}
	}
}

func TestEveryPathAndLinkLeadsSomewhere(t *testing.T) {
	for path, text := range documents(t) {
		for _, match := range citedPath.FindAllStringSubmatch(text, -1) {
			assert.True(t, exists(filepath.Join(root, match[1])), "%s names %s", path, match[1])
		}
		for _, match := range citedLink.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(match[1], "://") {
				assert.True(t, exists(filepath.Join(filepath.Dir(path), match[1])), "%s links to %s", path, match[1])
			}
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
