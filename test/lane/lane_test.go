// Package lane tests what people and forges type to have things tested: .ci/run, and
// test/kind/kind.sh up to where it would need a cluster.
package lane

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// said is what the command prints, and its exit code.
func said(t *testing.T, program string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	command := testwait.Command(t, program, args...)
	var told strings.Builder
	command.Stderr = &told
	output, err := command.Output()
	if exit := new(exec.ExitError); !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return string(output), told.String(), command.ProcessState.ExitCode()
}

func TestAnUnknownLaneRunsNothing(t *testing.T) {
	for _, args := range [][]string{{"nosuch"}, {"quick", "nosuch"}, {"nosuch", "quick"}, {"all", "nosuch"}, {"quick", "all"}, {"ls"}, {"need"}, {""}} {
		stdout, stderr, code := said(t, "../../.ci/run", args...)
		assert.Equal(t, 2, code, args)
		assert.Empty(t, stdout, args)
		assert.Contains(t, stderr, "no lane '", args)
	}
}

func TestTheForgeRunsEveryLaneOfASubmission(t *testing.T) {
	script, err := os.ReadFile("../../.ci/run")
	require.NoError(t, err)
	lanes := regexp.MustCompile(`(?m)^lanes=\((.*?)\)`).FindSubmatch(script)
	require.NotNil(t, lanes)
	workflow, err := os.ReadFile("../../.github/workflows/ci.yaml")
	require.NoError(t, err)
	assert.Contains(t, string(workflow), "lane: ["+strings.Join(strings.Fields(string(lanes[1])), ", ")+"]\n")
}

func TestKindRefusesWhatItCannotDo(t *testing.T) {
	for asked, answer := range map[string]string{
		"":                                    "kind: no command\n",
		"--record":                            "kind: no command\n",
		"--kubernetes":                        "kind: --kubernetes wants a value\n",
		"--kubernetes --load driver.tar":      "kind: --kubernetes wants a value\n",
		"--kubernetes 1.2 --check":            "kind: no Kubernetes 1.2 here, only ",
		"--workers many -- true":              "kind: 'many' is no number of workers\n",
		"--load /nosuch/driver.tar -- true":   "kind: no image archive /nosuch/driver.tar\n",
		"--help":                              "kind: no such option: --help\n",
		"--kubernetes 1.37 --nosuch -- true":  "kind: no such option: --nosuch\n",
		"--workers 0 --load a.tar, --check x": "kind: no image archive a.tar\n",
	} {
		stdout, stderr, code := said(t, "../kind/kind.sh", strings.Fields(asked)...)
		assert.Equal(t, 2, code, asked)
		assert.Empty(t, stdout, asked)
		assert.Contains(t, stderr, answer, asked)
	}
}

func TestKindKeepsNothingWhereNobodySaid(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "")
	for _, script := range []string{"kind.sh", "engine/engine.sh", "node-image/build.sh", "airflow/image/build.sh"} {
		args := []string{"true"}
		if script == "kind.sh" {
			args = []string{"--", "true"}
		}
		t.Setenv("LEOFLOW_KIND_CACHE", "relative")
		_, stderr, code := said(t, "../kind/"+script, args...)
		assert.Equal(t, 2, code, script)
		assert.Contains(t, stderr, "the cache directory 'relative' has no absolute path", script)

		t.Setenv("LEOFLOW_KIND_CACHE", "")
		t.Setenv("HOME", "")
		_, stderr, code = said(t, "../kind/"+script, args...)
		assert.Equal(t, 2, code, script)
		assert.Contains(t, stderr, "neither HOME nor LEOFLOW_KIND_CACHE says where to keep images and builds", script)
	}
}

// names are what the pattern's only group matches in the files.
func names(t *testing.T, pattern string, files ...string) []string {
	t.Helper()
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			found = append(found, match[1])
		}
	}
	require.NotEmpty(t, found)
	slices.Sort(found)
	return slices.Compact(found)
}

func TestTheTableOfScenariosIsWhole(t *testing.T) {
	suite, err := filepath.Glob("../kind/suite/*_test.go")
	require.NoError(t, err)
	assert.Equal(t, names(t, `(?m)^func (Test\w+)`, suite...), names(t, "`(Test\\w+)`", "../kind/README.md"))
}
