package filewatch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A file that was put in the place of another is whole; any other change may be half done.
func TestReplacedKnowsAWholeFile(t *testing.T) {
	one, other := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "other")
	files := []string{one, other}
	write := func(file, text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	replace := func(file string) {
		write(file+".new", "new")
		require.NoError(t, os.Rename(file+".new", file))
	}
	for _, row := range []struct {
		name   string
		change func()
		want   bool
	}{
		{"nothing", func() {}, false},
		{"one replaced", func() { replace(one) }, true},
		{"both replaced", func() { replace(one); replace(other) }, true},
		{"one written to", func() { write(one, "longer than before") }, false},
		{"one replaced, the other written to", func() { replace(one); write(other, "longer than before") }, false},
		{"one removed", func() { require.NoError(t, os.Remove(one)) }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			write(one, "old")
			write(other, "old")
			known := statesOf(files)
			row.change()
			require.Equal(t, row.want, known.replaced(files))
		})
	}
}
