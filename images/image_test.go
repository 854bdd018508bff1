package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// run builds the agent, which takes least time, into a directory of its own.
func run(t *testing.T, flags ...string) (out string, code int, said string) {
	t.Helper()
	out = t.TempDir()
	var text bytes.Buffer
	args := append([]string{"--only=agent", "--platforms=linux/amd64", "--tag=v1.2.3", "--revision=0e1a6ac", "--created=1700000000", "--out=" + out}, flags...)
	code = program().Execute(t.Context(), args, cli.Streams{Out: &text, Err: &text})
	return out, code, text.String()
}

func readImage(t *testing.T, path string) v1.Image {
	t.Helper()
	image, err := tarball.ImageFromPath(path, nil)
	require.NoError(t, err)
	return image
}

// contents are the image's files by name.
func contents(t *testing.T, image v1.Image) (files map[string][]byte, headers map[string]*tar.Header) {
	t.Helper()
	files, headers = map[string][]byte{}, map[string]*tar.Header{}
	flat := mutate.Extract(image)
	defer flat.Close()
	reader := tar.NewReader(flat)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, headers
		}
		require.NoError(t, err)
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		files[header.Name], headers[header.Name] = content, header
	}
}

func TestAgentImage(t *testing.T) {
	out, code, said := run(t)
	require.Equal(t, cli.OK, code, said)
	image := readImage(t, filepath.Join(out, "agent-linux-amd64.tar"))
	file, err := image.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, "amd64", file.Architecture)
	assert.Equal(t, "65532:65532", file.Config.User)
	assert.Equal(t, []string{"/agent"}, file.Config.Entrypoint)
	assert.Equal(t, "v1.2.3", file.Config.Labels["org.opencontainers.image.version"])
	assert.Equal(t, "0e1a6ac", file.Config.Labels["org.opencontainers.image.revision"])
	assert.Equal(t, "2023-11-14T22:13:20Z", file.Config.Labels["org.opencontainers.image.created"])
	assert.Equal(t, int64(1700000000), file.Created.Unix())

	files, headers := contents(t, image)
	assert.ElementsMatch(t, []string{"agent", "leoflow_runtime.whl", "licenses", "licenses/LICENSE", "licenses/THIRD_PARTY_LICENSES"}, slices.Collect(maps.Keys(files)))
	assert.Equal(t, int64(0o755), headers["agent"].Mode)
	assert.Contains(t, string(files["licenses/LICENSE"]), "Apache License")
	for _, owner := range []string{"== Go LICENSE\n", "== github.com/fsnotify/fsnotify v1.", "== golang.org/x/sys v0."} {
		assert.Contains(t, string(files["licenses/THIRD_PARTY_LICENSES"]), owner)
	}
	binary := filepath.Join(t.TempDir(), "agent")
	require.NoError(t, os.WriteFile(binary, files["agent"], 0o755))
	printed, err := exec.CommandContext(t.Context(), binary, "--version").Output()
	require.NoError(t, err)
	assert.Equal(t, "agent v1.2.3 (commit 0e1a6ac, "+runtime.Version()+")\n", string(printed))
	assertStatic(t, files["agent"])
}

func assertStatic(t *testing.T, binary []byte) {
	t.Helper()
	program, err := elf.NewFile(bytes.NewReader(binary))
	require.NoError(t, err)
	assert.False(t, slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), "it needs a loader")
}

// The second build is of a copy elsewhere, with nothing compiled before.
func TestSameSourceMakesTheSameImages(t *testing.T) {
	first, code, said := run(t)
	require.Equal(t, cli.OK, code, said)
	elsewhere := t.TempDir()
	for _, directory := range []string{"cmd", "internal", "pkg", "python"} {
		require.NoError(t, os.CopyFS(filepath.Join(elsewhere, directory), os.DirFS(filepath.Join("..", directory))))
	}
	for _, name := range []string{"go.mod", "go.sum", "LICENSE"} {
		content, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(elsewhere, name), content, 0o644))
	}
	t.Setenv("GOCACHE", t.TempDir())
	second, code, said := run(t, "--source="+elsewhere)
	require.Equal(t, cli.OK, code, said)

	for _, name := range []string{"agent-linux-amd64.tar", "agent.oci.tar"} {
		assert.True(t, bytes.Equal(read(t, filepath.Join(first, name)), read(t, filepath.Join(second, name))), name)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

func TestLayoutHoldsEveryPlatform(t *testing.T) {
	out, code, said := run(t, "--platforms=linux/amd64,linux/arm64", "--repository=registry.example.com/leoflow")
	require.Equal(t, cli.OK, code, said)
	unpacked := filepath.Join(t.TempDir(), "layout")
	unpack(t, filepath.Join(out, "agent.oci.tar"), unpacked)
	top, err := layout.ImageIndexFromPath(unpacked)
	require.NoError(t, err)
	manifest, err := top.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	assert.Equal(t, "registry.example.com/leoflow/agent:v1.2.3", manifest.Manifests[0].Annotations["io.containerd.image.name"])
	assert.Equal(t, "registry.example.com/leoflow/agent:v1.2.3@"+manifest.Manifests[0].Digest.String()+"\n",
		string(read(t, filepath.Join(out, digestsFile))))
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	platforms, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, platforms.Manifests, 2)
	for i, architecture := range []string{"amd64", "arm64"} {
		assert.Equal(t, architecture, platforms.Manifests[i].Platform.Architecture)
		alone, err := readImage(t, filepath.Join(out, "agent-linux-"+architecture+".tar")).ConfigName()
		require.NoError(t, err)
		among, err := index.Image(platforms.Manifests[i].Digest)
		require.NoError(t, err)
		config, err := among.ConfigName()
		require.NoError(t, err)
		assert.Equal(t, alone, config, "both tars hold the same image")
	}
}

func TestContainerdKnowsTheImageByTheNameThatKubeletHas(t *testing.T) {
	for reference, whole := range map[string]string{
		"leoflow/secrets-csi/agent:v1.2.3":               "docker.io/leoflow/secrets-csi/agent:v1.2.3",
		"registry.example.com/leoflow/agent:v1.2.3":      "registry.example.com/leoflow/agent:v1.2.3",
		"localhost/leoflow/secrets-csi/agent:snapshot.g": "localhost/leoflow/secrets-csi/agent:snapshot.g",
	} {
		tag, err := name.NewTag(reference)
		require.NoError(t, err)
		assert.Equal(t, whole, kubeletsName(tag))
	}
}

func unpack(t *testing.T, archive, directory string) {
	t.Helper()
	reader := tar.NewReader(bytes.NewReader(read(t, archive)))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		path := filepath.Join(directory, filepath.FromSlash(header.Name))
		if header.Typeflag == tar.TypeDir {
			require.NoError(t, os.MkdirAll(path, 0o755))
			continue
		}
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, content, 0o644))
	}
}

// Without these the driver could not ask the clouds.
func TestRootsKnowTheClouds(t *testing.T) {
	rest, err := roots()
	require.NoError(t, err)
	var names []string
	for block := (*pem.Block)(nil); ; {
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		names = append(names, certificate.Subject.CommonName)
	}
	assert.Greater(t, len(names), 80)
	for _, needed := range []string{"GTS Root R1", "GTS Root R4", "Amazon Root CA 1", "DigiCert Global Root G2", "Microsoft RSA Root Certificate Authority 2017"} {
		assert.Contains(t, names, needed)
	}
}

func TestDriverImage(t *testing.T) {
	driver := recipes()[0]
	image, err := assemble(options{tag: "v1.2.3"}, driver, v1.Platform{OS: "linux", Architecture: "amd64"}, []file{
		{rootsPath, 0o644, []byte("certificates")}, {driver.binary(), 0o755, []byte("program")},
	})
	require.NoError(t, err)
	files, headers := contents(t, image)
	assert.Equal(t, "program", string(files["driver"]))
	assert.Equal(t, int64(0o644), headers["etc/ssl/certs/ca-certificates.crt"].Mode)
	for name, header := range headers {
		assert.Zero(t, header.Uid+header.Gid, name)
		assert.Equal(t, epoch, header.ModTime.UTC(), name)
	}
}

func TestImageAboveItsBudgetFails(t *testing.T) {
	agent := recipes()[1]
	platform := v1.Platform{OS: "linux", Architecture: "amd64"}
	image, err := assemble(options{tag: "v1.2.3"}, agent, platform, []file{{agent.binary(), 0o755, bytes.Repeat([]byte("x"), 4_000_000)}})
	require.NoError(t, err)
	var line string
	err = measure(options{report: func(text string) { line = text }}, agent, platform, image)
	assert.EqualError(t, err, "agent for linux/amd64 has 4.00 MB uncompressed; its budget is 4.00 MB")
	assert.Contains(t, line, " over ")
}

// Docker's users get the layout of the recipes.
func TestDockerfileFollowsTheRecipes(t *testing.T) {
	dockerfile := string(read(t, "Dockerfile"))
	for _, r := range recipes() {
		target := "FROM scratch AS " + r.name + "\n"
		if r.roots {
			target += "COPY --from=build /etc/ssl/certs/ca-certificates.crt " + rootsPath + "\n"
		}
		target += "COPY --from=build /out/" + r.name + " " + r.binary() + "\n" +
			"USER " + r.user + "\n" +
			`ENTRYPOINT ["` + r.binary() + `"]` + "\n"
		assert.Contains(t, dockerfile, target)
	}
	assert.Contains(t, dockerfile, versionVariable+"=$TAG")
	assert.Contains(t, dockerfile, commitVariable+"=$COMMIT")
}
