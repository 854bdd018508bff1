package lane

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// checkout is a directory with a script of release/ in it, at a path that has a space.
type checkout struct {
	*testing.T
	dir, script string
}

func newCheckout(t *testing.T, script string) checkout {
	t.Helper()
	c := checkout{t, filepath.Join(t.TempDir(), "a checkout"), script}
	text, err := os.ReadFile("../../release/" + script)
	require.NoError(t, err)
	c.write("release/"+script, string(text), 0o755)
	return c
}

func (c checkout) write(name, text string, mode os.FileMode) string {
	c.Helper()
	path := filepath.Join(c.dir, name)
	require.NoError(c, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(c, os.WriteFile(path, []byte(text), mode))
	return path
}

// tool puts a shell script in the place of a program that the variable names.
func (c checkout) tool(variable, script string) {
	c.Helper()
	c.Setenv(variable, c.write("tools/"+variable, "#!/bin/sh\nset -eu\n"+script+"\n", 0o755))
}

func (c checkout) git(args ...string) {
	c.Helper()
	command := testwait.Command(c.T, "git", append([]string{"-C", c.dir, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
	output, err := command.CombinedOutput()
	require.NoError(c, err, "%s", output)
}

func (c checkout) run(args ...string) (stdout, stderr string, code int) {
	c.Helper()
	return said(c.T, filepath.Join(c.dir, "release", c.script), args...)
}

func (c checkout) read(name string) string {
	c.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	require.NoError(c, err)
	return string(text)
}

// goreleaser is told by these what to do; it is not there.
func newRelease(t *testing.T, tags ...string) checkout {
	t.Helper()
	t.Setenv("GORELEASER_CURRENT_TAG", "")
	c := newCheckout(t, "release.sh")
	c.tool("SYFT", "exit 1")
	c.tool("GORELEASER", `echo "$GORELEASER_CURRENT_TAG $*" >asked; exit 1`)
	c.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n- new\n\n## 0.1.0 - 2026-11-21\n\n### Added\n\n- old\n\n## 0.0.1 - 2026-11-20\n\n", 0o644)
	c.git("init", "--quiet")
	c.git("add", "CHANGELOG.md")
	c.git("commit", "--quiet", "--message", "all")
	for _, tag := range tags {
		c.git("tag", tag)
	}
	return c
}

func TestAReleaseIsRefusedBeforeAnythingIsBuilt(t *testing.T) {
	for message, row := range map[string]struct{ tags, args []string }{
		"no such option: --nosuch":                           {args: []string{"--nosuch"}},
		"leave out --snapshot and --no-sbom":                 {args: []string{"--publish", "--no-sbom"}, tags: []string{"v0.1.0"}},
		"the commit has no tag such as v0.1.0":               {tags: []string{"latest"}},
		"the tag v1 is no version such as v0.1.0":            {tags: []string{"v1"}},
		"the tag v0.1.0+build is no version such as v0.1.0":  {tags: []string{"v0.1.0+build"}},
		"the tag v0.1.0-beta is no version such as v0.1.0":   {tags: []string{"v0.1.0-beta"}}, // PyPI got 0.0.0.dev0
		"the tag v0.1.0-3-gabc is no version such as v0.1.0": {tags: []string{"v0.1.0-3-gabc"}},
		"the tag v0.1.00 is no version such as v0.1.0":       {tags: []string{"v0.1.00"}},
		"CHANGELOG.md has no section '## 0.2.0' that says":   {tags: []string{"v0.2.0"}, args: []string{"--publish"}},
		"CHANGELOG.md has no section '## 0.0.1' that says":   {tags: []string{"v0.0.1"}},
	} {
		t.Run(message, func(t *testing.T) {
			c := newRelease(t, row.tags...)
			stdout, stderr, code := c.run(row.args...)
			assert.Equal(t, 2, code)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, message)
			assert.NoFileExists(t, filepath.Join(c.dir, "asked"))
		})
	}
	c := newRelease(t, "v0.1.0")
	require.NoError(t, os.RemoveAll(filepath.Join(c.dir, ".git")))
	_, stderr, code := c.run("--snapshot")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "this is no checkout of git")
}

func TestAReleaseIsOfItsTagAndTellsWhatIsNew(t *testing.T) {
	c := newRelease(t, "v0.1.0-rc.1", "v0.1.0", "v0.1.0-rc.2")
	_, stderr, code := c.run("--publish")
	assert.Equal(t, 1, code, stderr)
	assert.Equal(t, "v0.1.0 release --clean --release-notes=dist/release-notes.md --skip=announce\n", c.read("asked"))
	assert.Equal(t, "### Added\n\n- old", strings.TrimSpace(c.read("dist/release-notes.md")))

	t.Setenv("GORELEASER_CURRENT_TAG", "v0.1.0-rc.1")
	_, _, _ = c.run("--no-sbom")
	assert.Equal(t, "v0.1.0-rc.1 release --clean --release-notes=dist/release-notes.md --skip=publish,sign,sbom\n", c.read("asked"))
	assert.Equal(t, "- new", strings.TrimSpace(c.read("dist/release-notes.md")))
}

func TestAPushWantsARegistryAndARelease(t *testing.T) {
	c := newCheckout(t, "push.sh")
	for registry, message := range map[string]string{
		"":                     "push: '' is no registry; write it as in: release/push.sh ghcr.io/leoflow",
		"https://ghcr.io/x":    "is no registry",
		"ghcr.io/x/":           "is no registry",
		"ghcr.io/Leoflow":      "is no registry",
		"--key":                "is no registry",
		"ghcr.io/leoflow":      "there is no release in dist/release; make one first: make release",
		"127.0.0.1:5000/a/b.c": "there is no release in dist/release",
	} {
		_, stderr, code := c.run(registry)
		assert.Equal(t, 2, code, registry)
		assert.Contains(t, stderr, message, registry)
	}
}

// Whoever verifies the chart's signature has verified with it which images it installs.
func TestThePushedChartPinsTheImagesPushedWithIt(t *testing.T) {
	c := newCheckout(t, "push.sh")
	values, err := os.ReadFile("../../charts/leoflow-secrets-csi/values.yaml")
	require.NoError(t, err)
	c.write("chart/leoflow-secrets-csi/values.yaml", string(values), 0o644)
	for _, name := range []string{"driver", "agent", "core"} {
		var empty bytes.Buffer
		require.NoError(t, tar.NewWriter(&empty).Close())
		c.write("dist/release/leoflow-secrets-csi-"+name+"_0.1.0.oci.tar", empty.String(), 0o644)
	}
	archive := exec.CommandContext(t.Context(), "tar", "--create", "--gzip", "--file", filepath.Join(c.dir, "dist/release/leoflow-secrets-csi-0.1.0.tgz"), "--directory", filepath.Join(c.dir, "chart"), "leoflow-secrets-csi")
	require.NoError(t, archive.Run())
	c.tool("CRANE", `[ "$1" = push ] || case $2 in */driver:*) echo sha256:d1;; */agent:*) echo sha256:a2;; */core:*) echo sha256:c3;; esac`)
	c.tool("HELM", `if [ "$1" = package ]; then cp "$4/values.yaml" pushed.yaml; else echo "Digest: sha256:e4"; fi`)
	c.tool("COSIGN", `echo "$*" >signed`)
	_, stderr, code := c.run("registry.example.com/leoflow", "--key", "k")
	require.Zero(t, code, stderr)

	var pushed, made struct {
		Image map[string]any
		Rest  map[string]any `json:"referenceCore"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(c.read("pushed.yaml")), &pushed))
	require.NoError(t, yaml.Unmarshal(values, &made))
	made.Image["repository"] = "registry.example.com/leoflow/secrets-csi"
	made.Image["digests"] = map[string]any{"driver": "sha256:d1", "agent": "sha256:a2", "core": "sha256:c3"}
	assert.Equal(t, made, pushed)
	refs := "registry.example.com/leoflow/secrets-csi/driver@sha256:d1 registry.example.com/leoflow/secrets-csi/agent@sha256:a2 " +
		"registry.example.com/leoflow/secrets-csi/core@sha256:c3 registry.example.com/leoflow/charts/leoflow-secrets-csi@sha256:e4"
	assert.Equal(t, "sign --yes --key k "+refs+"\n", c.read("signed"))
	assert.Equal(t, strings.Fields(refs), strings.Fields(c.read("dist/release-refs.txt")))
}

// The forge's Go fetches no other one. That of go.mod alone was too old for modules of tools.
func TestTheForgesGoBuildsEveryModule(t *testing.T) {
	own := names(t, `(?m)^go (\d+\.\d+)`, "../../go.mod")
	var modules []string
	for _, pattern := range []string{"../../go.mod", "../../images/go.mod", "../../tools/*.mod", "../*/go.mod", "../kind/node-image/*.mod"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, found, pattern)
		modules = append(modules, found...)
	}
	assert.Equal(t, own, names(t, `(?m)^go (\d+\.\d+)`, modules...), "another version has to be in the workflows, too")
	for _, file := range []string{"ci", "release"} {
		setUp := names(t, `uses: actions/setup-go@.*\n +with: \{(.*?check-latest: \w+)`, "../../.github/workflows/"+file+".yaml")
		assert.Equal(t, []string{"go-version: '" + own[0] + ".x', check-latest: true"}, setUp, file)
	}
}
