package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// small is a site that is in order.
func small() fstest.MapFS {
	return fstest.MapFS{
		front:                 {Data: []byte("# Home\n\n## Start\n- [One](one.md): the first\n- [Why](adr/README.md)\n")},
		"docs/one.md":         {Data: []byte("# One\n\n## A `part`\n\nSee [it](#a-part), [all](../README.md#all), [a file](../go.mod).\n")},
		"docs/adr/README.md":  {Data: []byte("# Why\n\n[first](0001.md)\n")},
		"docs/adr/0001.md":    {Data: []byte("# First\n\n![](../images/a.svg)\n")},
		"docs/images/a.svg":   {Data: []byte("<svg/>")},
		"README.md":           {Data: []byte("# What\n\n## All\n\n[folder](docs/) and [abroad](https://example.com/)\n")},
		"go.mod":              {Data: []byte("module m\n")},
		"internal/ignored.md": {Data: []byte("# Not a document\n")},
	}
}

func TestASiteIsRefusedForWhatLeadsNowhere(t *testing.T) {
	_, err := load(small())
	require.NoError(t, err)
	for _, row := range []struct{ name, file, add, want string }{
		{"a page", "docs/one.md", "[x](two.md)", "docs/one.md: two.md: there is no such file"},
		{"a heading of its own", "docs/one.md", "[x](#b)", "docs/one.md: #b: there is no such heading"},
		{"a heading of another", "README.md", "[x](docs/one.md#b)", "README.md: docs/one.md#b: there is no such heading"},
		{"a file", "docs/adr/0001.md", "[x](../../go.sum)", "docs/adr/0001.md: ../../go.sum: there is no such file"},
		{"a picture", "docs/one.md", "![x](b.svg)", "docs/one.md: b.svg: there is no such file"},
		{"a picture from elsewhere", "docs/one.md", "![x](https://example.com/b.svg)", "pictures come from the repository"},
		{"a page that none links to", "docs/three.md", "# Three", "docs/three.md: no page links to it"},
		{"two pages at one address", "overview.md", "# O", "README.md and overview.md are both overview.html"},
		{"an entry without a link", front, "\n\n## More\n- nothing", `docs/README.md: "nothing" does not begin with a link`},
		{"an entry that is there before", front, "\n\n## More\n- [m](one.md)", `docs/README.md: "one.md" is there before`},
		{"an entry that is no page", front, "\n\n## More\n- [m](../go.mod)", `docs/README.md: "../go.mod" links to no page`},
	} {
		t.Run(row.name, func(t *testing.T) {
			files := small()
			var before []byte
			if file := files[row.file]; file != nil {
				before = file.Data
			}
			files[row.file] = &fstest.MapFile{Data: append(before, []byte("\n"+row.add+"\n")...)}
			if row.file == "overview.md" {
				files["docs/one.md"].Data = append(files["docs/one.md"].Data, []byte("[o](../overview.md)\n")...)
			}
			_, err := load(files)
			assert.ErrorContains(t, err, row.want)
		})
	}
}

func TestWrittenPagesLeadToOneAnother(t *testing.T) {
	s, err := load(small())
	require.NoError(t, err)
	out := t.TempDir()
	require.NoError(t, s.write(out))
	one := read(t, filepath.Join(out, "one.html"))
	for _, part := range []string{
		`<h2 id="a-part">A <code>part</code></h2>`, `href="one.html#a-part"`, `href="overview.html#all"`,
		`href="https://github.com/leoflow/secrets-csi/blob/main/go.mod"`, `aria-current="page">One</a>`,
	} {
		assert.Contains(t, one, part)
	}
	first := read(t, filepath.Join(out, "adr", "0001.html"))
	assert.Contains(t, first, `src="../images/a.svg"`)
	assert.Contains(t, first, `href="../adr/0001.html" aria-current="page">First</a>`, "shown in the menu while it is read")
	assert.NotContains(t, one, "First")
	assert.Contains(t, read(t, filepath.Join(out, "index.html")), "<span>the first</span>")
	assert.FileExists(t, filepath.Join(out, "images", "a.svg"))
	search := read(t, filepath.Join(out, "search.js"))
	assert.Contains(t, search, `{"page":"one.html","title":"One · A part","anchor":"a-part","text":"See it , all , a file ."}`)
	assert.Contains(t, first, `<script src="../search.js" data-base="../"></script>`)
}

func TestADirectoryThatIsNoSiteIsLeftAlone(t *testing.T) {
	s, err := load(small())
	require.NoError(t, err)
	out := t.TempDir()
	require.NoError(t, s.write(out), "into an empty one")
	require.NoError(t, s.write(out), "over a site")
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "thesis.txt"), nil, 0o600))
	assert.ErrorContains(t, s.write(other), "holds something that is not a site")
	assert.FileExists(t, filepath.Join(other, "thesis.txt"))
}

var reference = regexp.MustCompile(`(href|src)="([^"]*)"`)

// TestTheSiteOfThisRepositoryStandsAlone follows every link of every page that is written.
func TestTheSiteOfThisRepositoryStandsAlone(t *testing.T) {
	out := t.TempDir()
	require.NoError(t, run([]string{"--out", out}, os.Stdout))
	pages := map[string]string{}
	require.NoError(t, filepath.WalkDir(out, func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".html") {
			pages[path] = read(t, path)
		}
		return err
	}))
	require.Greater(t, len(pages), 30)
	for path, content := range maps.All(pages) {
		assert.Equal(t, 2, strings.Count(content, "<script"), path)
		for _, match := range reference.FindAllStringSubmatch(content, -1) {
			file, anchor, _ := strings.Cut(match[2], "#")
			if strings.HasPrefix(file, "https://") && match[1] == "href" || strings.HasPrefix(file, "data:") {
				continue
			}
			target := filepath.Join(filepath.Dir(path), filepath.FromSlash(file))
			if file == "" {
				target = path
			}
			assert.FileExists(t, target, "%s: %s", path, match[2])
			if anchor != "" {
				assert.Contains(t, pages[target], `id="`+anchor+`"`, "%s: %s", path, match[2])
			}
		}
	}
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	for words, want := range map[string]string{
		"What goes wrong, and what to do": "what-goes-wrong-and-what-to-do",
		"manifest.json":                   "manifestjson",
		"AWS (aws)":                       "aws-aws",
		"core's rules":                    "cores-rules",
		"key_secret_name":                 "key_secret_name",
		"Ähnlich – so":                    "ähnlich--so",
	} {
		assert.Equal(t, want, anchors{}.name(words))
	}
	taken := anchors{}
	assert.Equal(t, []string{"a", "a-1", "a-2"}, []string{taken.name("A"), taken.name("a"), taken.name("A")})
}

func TestWhatIsTypedIsToldFromWhatIsPrinted(t *testing.T) {
	for _, row := range []struct{ language, code, want string }{
		{"console", "$ a <b>\nok: # 5\n", "<i class=prompt>$ </i><b>a &lt;b&gt;</b>\nok: # 5\n"},
		{"console", "$ make  # all\n", "<i class=prompt>$ </i><b>make</b><i>  # all</i>\n"},
		{"console", "$ a \\\n  b\nc\n", "<i class=prompt>$ </i><b>a \\</b>\n<b>  b</b>\nc\n"},
		{"console", "$ cat <<'E'\nx\nE\ny\n", "<i class=prompt>$ </i><b>cat &lt;&lt;&#39;E&#39;</b>\n<b>x</b>\n<b>E</b>\ny\n"},
		{"yaml", "a: b  # why\n", "a: b<i>  # why\n</i>"},
		{"yaml", "a: \"b#c\"\n", "a: &#34;b#c&#34;\n"},
		{"json", "# no\n", "# no\n"},
	} {
		assert.Equal(t, row.want, strings.Join(painted(row.language, strings.SplitAfter(row.code, "\n")), ""))
	}
}

func TestAFileToBeSavedHasItsNameAboveIt(t *testing.T) {
	assert.Equal(t, "<figure class=code><figcaption>rules.yaml</figcaption><pre tabindex=0><code>rules: []\n</code></pre></figure>\n",
		figure("yaml", []string{"# rules.yaml\n", "rules: []\n"}))
	assert.Equal(t, "<figure class=code><pre tabindex=0><code><i># Rules\n</i></code></pre></figure>\n", figure("yaml", []string{"# Rules\n"}))
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}
