package wheel

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestVersion(t *testing.T) {
	for text, version := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3rc1", "v1.2.3-beta2": "1.2.3b2", "v0.1.0-alpha.1-3-g0e1a6ac": "0.1.0a1.post3+g0e1a6ac",
		"v1.2.3-4-g0e1a6ac-dirty": "1.2.3.post4+g0e1a6ac.dirty", "v1.2.3-dirty": "1.2.3+dirty", "dev": "0.0.0.dev0", "0e1a6ac": "0.0.0.dev0", "": "0.0.0.dev0",
	} {
		assert.Equal(t, version, Version(text), text)
	}
}

func TestBuild(t *testing.T) {
	source := fstest.MapFS{
		"LICENSE": {Data: []byte("license")}, "python/a/__init__.py": {Data: []byte("x = 1\n")}, "python/a/py.typed": {}, "python/a/b/c.py": {},
		"python/a/__pycache__/c.cpython-311.pyc": {Data: []byte("left behind")}, "python/a/notes.txt": {}, "python/other/x.py": {},
	}
	project := Project{Name: "a-b", Summary: "S", Packages: []string{"a"}, PathFile: "a/b", Requires: []string{"c>=1"}, EntryPoints: "[x]\n"}
	built, err := Build(source, project, "v1.2.3")
	require.NoError(t, err)
	assert.Equal(t, "a_b-1.2.3-py3-none-any.whl", built.Name)
	archive, err := zip.NewReader(bytes.NewReader(built.Content), int64(len(built.Content)))
	require.NoError(t, err)
	var names []string
	for _, each := range archive.File {
		names = append(names, each.Name)
	}
	assert.Equal(t, []string{
		"a/__init__.py", "a/b/c.py", "a/py.typed", "a_b-1.2.3.dist-info/METADATA", "a_b-1.2.3.dist-info/RECORD",
		"a_b-1.2.3.dist-info/WHEEL", "a_b-1.2.3.dist-info/entry_points.txt", "a_b-1.2.3.dist-info/licenses/LICENSE", "a_b.pth",
	}, names)
	again, err := Build(source, project, "v1.2.3")
	require.NoError(t, err)
	assert.Equal(t, built, again)
}

// TestPythonImportsFromTheWheel does without unpacking, and without anything that an environment
// or a user's directory adds.
func TestPythonImportsFromTheWheel(t *testing.T) {
	testneed.Program(t, "python3")
	wheel := filepath.Join(t.TempDir(), "leoflow_runtime.whl")
	built, err := Build(os.DirFS("../.."), Runtime, "dev")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(wheel, built.Content, 0o600))
	program := `import sys; sys.path.insert(0, sys.argv[1]); import leoflow_runtime as l; print(l.__file__); l.get_variable("x", default="")`
	said, err := testwait.Command(t, "python3", "-I", "-c", program, wheel).Output()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(wheel, "leoflow_runtime", "__init__.py")+"\n", string(said))
}
