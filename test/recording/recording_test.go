package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/test/stack"
)

const root = "../.."

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

func TestAChapterWaitsForTheOneBeforeToBeRead(t *testing.T) {
	f := play([]line{
		{"▸ one", 0},
		{"    a detail", 2 * time.Millisecond},
		{"", 5 * time.Millisecond},
		{"▸ two", 5 * time.Millisecond},
	})
	assert.Equal(t, []row{
		{"▸ one", true, true, 0, 0},
		{"    a detail", false, true, 2 * time.Millisecond, 2 * time.Millisecond},
		{"", false, true, 5 * time.Millisecond, 5 * time.Millisecond},
		{"▸ two", true, true, 5 * time.Millisecond, 5*time.Millisecond + readMore + 2*readRow},
	}, f.rows)
	assert.Equal(t, f.rows[3].shown+hold, f.lasts)
}

func TestWrapLosesNothing(t *testing.T) {
	for _, text := range []string{
		"", "short", "    " + strings.Repeat("word ", 40), strings.Repeat("é", 3*columns),
		`  {"a":` + strings.Repeat(`"b",`, 60) + "}",
	} {
		var joined strings.Builder
		for _, part := range wrap(text) {
			assert.LessOrEqual(t, len([]rune(part)), columns)
			joined.WriteString(strings.TrimLeft(part, " "))
		}
		assert.Equal(t, strings.TrimSpace(text), strings.TrimSpace(joined.String()))
	}
}

func TestThePictureIsAFileOfItsOwn(t *testing.T) {
	f := play([]line{{"▸ <one> & two", 0}, {"    •", time.Second}})
	f.rows = append(f.rows, make([]row, 2*screen)...)
	picture := draw("make <demo>", f)
	decoder := xml.NewDecoder(bytes.NewReader(picture))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok {
			assert.NotContains(t, []string{"script", "image", "a", "foreignObject"}, start.Name.Local)
		}
	}
	assert.Equal(t, 1, bytes.Count(picture, []byte("//")), "the name space alone")
	assert.Contains(t, string(picture), "▸ &lt;one&gt; &amp; two</text>")
}

var (
	drawn   = regexp.MustCompile(`<text class="(time|chapter)" [^>]*>([^<]*)</text>`)
	aside   = regexp.MustCompile(`\([^)]*\)`)
	figures = regexp.MustCompile(`[0-9.]+(ms|µs|s)\b`)
	blanks  = regexp.MustCompile(`\s+`)
)

// TestThePictureIsOfTheDemoAsItIs compares the chapters of the committed picture with those
// that the demo prints now. If it fails: make recording.
func TestThePictureIsOfTheDemoAsItIs(t *testing.T) {
	testneed.Program(t, "python3") // which the demo shows where there is one
	bin, err := stack.Build(root, "recording", "./test/demo")
	require.NoError(t, err)
	lines, err := record(testwait.Context(t), []string{filepath.Join(bin, "demo"), "--bin", bin})
	require.NoError(t, err)
	var printed []string
	for _, l := range lines {
		if strings.HasPrefix(l.text, chapter) {
			printed = append(printed, alike(l.text))
		}
	}
	picture, err := os.ReadFile(filepath.Join(root, "docs", "images", "demo.svg"))
	require.NoError(t, err)
	assert.Greater(t, len(printed), 8)
	assert.Equal(t, printed, chaptersOf(string(picture)))
}

// chaptersOf puts together the rows between two times.
func chaptersOf(picture string) []string {
	var chapters []string
	for _, match := range drawn.FindAllStringSubmatch(picture, -1) {
		if match[1] == "time" {
			chapters = append(chapters, "")
			continue
		}
		chapters[len(chapters)-1] += unescape.Replace(match[2]) + " "
	}
	for i := range chapters {
		chapters[i] = alike(chapters[i])
	}
	return chapters
}

var unescape = strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&lt;", "<", "&gt;", ">", "&amp;", "&")

// alike is what two runs on two machines have in common.
func alike(text string) string {
	text = figures.ReplaceAllString(aside.ReplaceAllString(text, "(…)"), "…")
	return strings.TrimSpace(blanks.ReplaceAllString(text, " "))
}
