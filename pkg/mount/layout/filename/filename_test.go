package filename

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

func TestOf(t *testing.T) {
	tests := map[string]struct{ id, want string }{
		"a usual id":                 {"google_cloud-default.v2", "google_cloud-default.v2"},
		"every mark that ids have":   {`a#!()-.:\b c`, `a#!()-.:\b c`},
		"upper case":                 {"Warehouse", "Warehouse"},
		"letters beyond ASCII":       {"größe", "größe"},
		"a slash":                    {"team/db", "team%2Fdb"},
		"an absolute path":           {"/etc/passwd", "%2Fetc%2Fpasswd"},
		"the directory":              {".", "%2E"},
		"the parent":                 {"..", "%2E."},
		"a way out":                  {"../../x", "%2E.%2F..%2Fx"},
		"the data link":              {"..data", "%2E.data"},
		"a hidden file":              {".profile", "%2Eprofile"},
		"an escape":                  {"%2F", "%252F"},
		"NUL":                        {"a\x00b", "a%00b"},
		"newline":                    {"a\nb", "a%0Ab"},
		"a control beyond ASCII":     {"a\u0085b", "a%C2%85b"},
		"a mark that turns the line": {"a\u202eb", "a%E2%80%AEb"},
		"not UTF-8":                  {"a\xffb", "a%FFb"},
		"the replacement character":  {"a\ufffdb", "a\ufffdb"},
		"the empty id":               {"", "%"},
		"the longest plain id":       {strings.Repeat("a", 255), strings.Repeat("a", 255)},
		"one byte more": {
			strings.Repeat("a", 256),
			strings.Repeat("a", 189) + "%~02d7160d77e18c6447be80c2e355c7ed4388545271702c50253b0914c65ce5fe",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, Of(test.id))
		})
	}
}

func TestOfOfLongIDs(t *testing.T) {
	for _, id := range []string{
		strings.Repeat("é", 200), strings.Repeat("/", 250), strings.Repeat("日", 250),
		strings.Repeat("a", 188) + strings.Repeat("é", 100), strings.Repeat("a", 187) + strings.Repeat("/", 100),
	} {
		assertSafeName(t, Of(id))
		assert.NotEqual(t, Of(id), Of(id+"x"))
	}
}

func assertSafeName(t *testing.T, name string) {
	t.Helper()
	assert.True(t, layout.IsValuePath(layout.VariablesDir+"/"+name), "%q", name)
	assert.False(t, strings.HasPrefix(name, "."), "%q", name)
	assert.LessOrEqual(t, len(name), 255)
	assert.True(t, utf8.ValidString(name), "%q", name)
}

func FuzzOfIsSafeAndUnique(f *testing.F) {
	f.Add("a", "b")
	f.Add("a/b", "a%2Fb")
	f.Add("", "%")
	f.Add(strings.Repeat("é", 200), strings.Repeat("é", 201))
	f.Fuzz(func(t *testing.T, one, other string) {
		assertSafeName(t, Of(one))
		if one != other {
			assert.NotEqual(t, Of(one), Of(other))
		}
	})
}
