package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
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

// programs are those of this machine's platform, built once. All of them are images.
var programs = sync.OnceValues(func() (string, error) {
	directory, err := filepath.Abs("../bin/image-test")
	if err != nil {
		return "", err
	}
	output, err := exec.Command("../release/programs.sh", directory, "v1.2.3", "0e1a6ac", "linux/amd64").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return directory, nil
})

// run builds the images into a directory of its own.
func run(t *testing.T, flags ...string) (out string, code int, said string) {
	t.Helper()
	built, err := programs()
	require.NoError(t, err)
	out = t.TempDir()
	var text bytes.Buffer
	args := append([]string{"--programs=" + built, "--tag=v1.2.3", "--revision=0e1a6ac", "--created=1700000000", "--out=" + out}, flags...)
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
func TestSameSourceMakesTheSameProgramAndLicenses(t *testing.T) {
	built, err := programs()
	require.NoError(t, err)
	elsewhere := t.TempDir()
	for _, directory := range []string{"cmd", "internal", "pkg", "api", "python", "release"} {
		require.NoError(t, os.CopyFS(filepath.Join(elsewhere, directory), os.DirFS(filepath.Join("..", directory))))
	}
	for _, name := range []string{"go.mod", "go.sum", "LICENSE"} {
		content, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(elsewhere, name), content, 0o644))
	}
	t.Setenv("GOCACHE", t.TempDir())
	out := t.TempDir()
	command := exec.CommandContext(t.Context(), filepath.Join(elsewhere, "release", "programs.sh"), out, "v1.2.3", "0e1a6ac", "linux/amd64")
	command.Env = append(os.Environ(), "LEOFLOW_PROGRAMS=agent") // which takes least time
	said, err := command.CombinedOutput()
	require.NoError(t, err, string(said))
	for _, name := range []string{"agent-linux-amd64", "agent-linux-amd64.licenses"} {
		assert.True(t, bytes.Equal(read(t, filepath.Join(built, name)), read(t, filepath.Join(out, name))), name)
	}
}

func TestSameProgramsMakeTheSameImages(t *testing.T) {
	first, code, said := run(t)
	require.Equal(t, cli.OK, code, said)
	second, code, said := run(t)
	require.Equal(t, cli.OK, code, said)
	for _, name := range []string{"driver-linux-amd64.tar", "agent.oci.tar", "digests.txt"} {
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
	built := t.TempDir()
	for _, name := range []string{"driver", "fetcher", "agent", "core"} {
		for _, platform := range []string{"amd64", "arm64"} {
			require.NoError(t, os.WriteFile(filepath.Join(built, name+"-linux-"+platform), []byte(name+platform), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(built, name+"-linux-"+platform+".licenses"), nil, 0o644))
		}
	}
	for _, name := range []string{"LICENSE", "leoflow_runtime-1.whl"} {
		require.NoError(t, os.WriteFile(filepath.Join(built, name), nil, 0o644))
	}
	out, code, said := run(t, "--programs="+built, "--repository=registry.example.com/leoflow")
	require.Equal(t, cli.OK, code, said)
	unpacked := filepath.Join(t.TempDir(), "layout")
	unpack(t, filepath.Join(out, "agent.oci.tar"), unpacked)
	top, err := layout.ImageIndexFromPath(unpacked)
	require.NoError(t, err)
	manifest, err := top.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	assert.Equal(t, "registry.example.com/leoflow/agent:v1.2.3", manifest.Manifests[0].Annotations["io.containerd.image.name"])
	assert.Contains(t, string(read(t, filepath.Join(out, "digests.txt"))),
		"registry.example.com/leoflow/agent:v1.2.3@"+manifest.Manifests[0].Digest.String()+"\n")
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
	rest := roots()
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
		{rootsPath, 0o644, []byte("certificates")}, {"/driver", 0o755, []byte("program")},
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
	var line string
	o := options{report: func(text string) { line = text }}
	platform := v1.Platform{OS: "linux", Architecture: "amd64"}
	assert.NoError(t, agent.measure(o, platform, []file{{"/agent", 0o755, make([]byte, 4_000_000)}}))
	err := agent.measure(o, platform, []file{{"/agent", 0o755, make([]byte, 4_000_000)}, {"/licenses/LICENSE", 0o644, []byte("x")}})
	assert.EqualError(t, err, "agent for linux/amd64 has 4.00 MB uncompressed; its budget is 4.00 MB")
	assert.Equal(t, err.Error(), line)
}

func TestWithoutProgramsThereIsNoImage(t *testing.T) {
	_, code, said := run(t, "--programs="+t.TempDir())
	assert.Equal(t, cli.Failure, code)
	assert.Contains(t, said, "there is no program driver in ")
}

func TestEveryProgramMayBeHandedOn(t *testing.T) {
	built, err := programs()
	require.NoError(t, err)
	for _, r := range recipes() {
		text := string(read(t, filepath.Join(built, r.name+"-linux-amd64.licenses")))
		assert.Contains(t, text, "Redistribution and use in source and binary forms")
		headings := regexp.MustCompile(`(?m)^== .*`).FindAllString(text, -1)
		assert.Len(t, slices.Compact(slices.Sorted(slices.Values(headings))), len(headings), "each license is there once")
	}
	driver := string(read(t, filepath.Join(built, "fetcher-linux-amd64.licenses")))
	assert.Contains(t, driver, "== github.com/aws/aws-sdk-go-v2 ", "the notice of a module above the package's directory")
	assert.Contains(t, driver, "NOTICE.txt\n")
}

// Docker's users get the layout of the recipes.
func TestDockerfileFollowsTheRecipes(t *testing.T) {
	dockerfile := string(read(t, "Dockerfile"))
	for _, r := range recipes() {
		target := "FROM scratch AS " + r.name + "\n"
		if r.roots {
			target += "COPY --from=build /etc/ssl/certs/ca-certificates.crt " + rootsPath + "\n"
		}
		for _, program := range append([]string{r.name}, r.beside...) {
			target += "COPY --from=build /out/" + program + " /" + program + "\n"
		}
		if r.python {
			target += "COPY --from=build /out/leoflow_runtime-*.whl /leoflow_runtime.whl\n"
		}
		target += "USER " + r.user + "\n" +
			`ENTRYPOINT ["/` + r.name + `"]` + "\n"
		assert.Contains(t, dockerfile, target)
	}
	assert.Contains(t, dockerfile, "/internal/version.Version=$TAG")
	assert.Contains(t, dockerfile, "/internal/version.Commit=$COMMIT")
}
