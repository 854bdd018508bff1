package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/test/stack"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

// build builds the demo and the programs it shows.
func build(t *testing.T) (demo, bin string) {
	t.Helper()
	bin, err := stack.Build(filepath.Join("..", ".."), "test-of-demo", "./test/demo")
	require.NoError(t, err)
	return filepath.Join(bin, "demo"), bin
}

func TestTheDemoTellsItsStoryAndLeavesNothing(t *testing.T) {
	demo, bin := build(t)
	for _, row := range []struct {
		name string
		// leave breaks the story off at a line; nil hears it to its end.
		leave func(*exec.Cmd, *os.File) error
		ends  bool
	}{
		{"to its end", nil, true},
		{"Ctrl-C", func(demo *exec.Cmd, _ *os.File) error { return demo.Process.Signal(os.Interrupt) }, false},
		{"a closed terminal", func(demo *exec.Cmd, _ *os.File) error { return demo.Process.Signal(syscall.SIGHUP) }, false},
		{"a pager that is quit", func(_ *exec.Cmd, out *os.File) error { return out.Close() }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			// Not t.TempDir, whose long name leaves a socket no room where TMPDIR is long too.
			temp, err := os.MkdirTemp("", "demo-")
			require.NoError(t, err)
			defer os.RemoveAll(temp)
			command := testwait.Command(t, demo, "--bin", bin)
			command.Env = append(os.Environ(), "TMPDIR="+temp, "LEOFLOW_AUTH=tokenreview")
			var errs strings.Builder
			command.Stderr = &errs
			read, write, err := os.Pipe()
			require.NoError(t, err)
			command.Stdout = write
			require.NoError(t, command.Start())
			require.NoError(t, write.Close())
			defer read.Close()

			var story strings.Builder
			lines := bufio.NewScanner(read)
			for lines.Scan() {
				story.WriteString(lines.Text() + "\n")
				if row.leave != nil && strings.Contains(lines.Text(), "Where the password is not") {
					require.NoError(t, row.leave(command, read))
					row.leave = nil
				}
			}
			err = command.Wait()
			if row.ends {
				require.NoError(t, err, errs.String())
				assertPictured(t, story.String())
				assert.Contains(t, story.String(), "Generation 2 stood in the volume")
				assert.Contains(t, story.String(), `"entry":"payroll","decision":"denied"`)
				assert.NotContains(t, story.String(), firstPassword)
				assert.NotContains(t, story.String(), secondPassword)
			} else {
				assert.Error(t, err)
			}
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

var (
	figures = regexp.MustCompile(`[0-9.]+(ms|µs|s)`)
	markup  = regexp.MustCompile(`<[^>]*>`)
	unXML   = strings.NewReplacer("&apos;", "'", "&quot;", `"`, "&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// assertPictured holds the picture of the documents to what the demo tells now, but for its
// figures. The picture breaks lines that are too long for it.
func assertPictured(t *testing.T, story string) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		return // the demo shows another program then
	}
	picture, err := os.ReadFile(filepath.Join("..", "..", "docs", "images", "demo.svg"))
	require.NoError(t, err)
	alike := func(text string) string {
		return figures.ReplaceAllString(strings.Join(strings.Fields(text), ""), "…")
	}
	shown := alike(unXML.Replace(markup.ReplaceAllString(string(picture), "")))
	chapters := 0
	for line := range strings.Lines(story) {
		chapter, _, _ := strings.Cut(line, " (rw,") // the kernel's options follow
		if strings.HasPrefix(chapter, "▸ ") || strings.Contains(chapter, "rpc error") {
			chapters++
			assert.Contains(t, shown, alike(chapter), "the picture is of another demo: make picture")
		}
	}
	assert.Greater(t, chapters, 8)
}
