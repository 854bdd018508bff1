//go:build release

// Package release tests what 'make release' has made, which it does at its end.
package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/leoflow/secrets-csi/internal/wheel"
)

var made = flag.String("release", filepath.Join("..", "dist", "release"), "the `directory` with a release")

// release are its files, and its version.
func release(t *testing.T) (files []string, version string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(*made, "*"))
	require.NoError(t, err)
	for _, path := range paths {
		name := filepath.Base(path)
		files = append(files, name)
		if found := regexp.MustCompile(`^leoflow-secrets-csi-(\d.*)\.tgz$`).FindStringSubmatch(name); found != nil {
			version = found[1]
		}
	}
	require.NotEmpty(t, version, "the chart")
	return files, version
}

// contents are the regular files of a tar, packed or not, with their modes.
func contents(t *testing.T, archive []byte) (files map[string][]byte, headers map[string]*tar.Header) {
	t.Helper()
	var from io.Reader = bytes.NewReader(archive)
	if packed, err := gzip.NewReader(bytes.NewReader(archive)); err == nil {
		from = packed
	}
	files, headers = map[string][]byte{}, map[string]*tar.Header{}
	for reader := tar.NewReader(from); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, headers
		}
		require.NoError(t, err)
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		if header.Typeflag == tar.TypeReg {
			files[header.Name], headers[header.Name] = content, header
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(*made, name))
	require.NoError(t, err)
	return content
}

func TestArchivesHoldTheProgramsOfTheImagesAndTheirLicenses(t *testing.T) {
	_, version := release(t)
	for program, inImageOf := range map[string]string{"driver": "driver", "fetcher": "driver", "agent": "agent", "core": "core"} {
		for _, platform := range []string{"linux_amd64", "linux_arm64"} {
			stem := "leoflow-secrets-csi-" + program + "_" + version + "_" + platform
			files, headers := contents(t, read(t, stem+".tar.gz"))
			assert.Len(t, files, 4, stem)
			for name, mode := range map[string]int64{program: 0o755, "LICENSE": 0o644, "README.md": 0o644, "THIRD_PARTY_LICENSES": 0o644} {
				header := headers[stem+"/"+name]
				if assert.NotNil(t, header, "%s in %s", name, stem) {
					assert.Equal(t, mode, header.Mode, name)
					assert.Equal(t, "root", header.Uname, name)
					assert.Equal(t, headers[stem+"/"+program].ModTime, header.ModTime, name)
				}
			}
			assert.Contains(t, string(files[stem+"/THIRD_PARTY_LICENSES"]), "== Go LICENSE\n")
			inImage := map[string][]byte{}
			image, _ := contents(t, read(t, "leoflow-secrets-csi-"+inImageOf+"_"+version+"_"+platform+".image.tar"))
			for name, layer := range image {
				if strings.HasSuffix(name, ".tar.gz") {
					layerFiles, _ := contents(t, layer)
					for name, content := range layerFiles {
						inImage[name] = content
					}
				}
			}
			assert.True(t, bytes.Equal(files[stem+"/"+program], inImage[program]), "the program of %s is another one in the image", stem)
			licenses := "licenses/THIRD_PARTY_LICENSES"
			if program != inImageOf {
				licenses = "licenses/" + program + "/THIRD_PARTY_LICENSES"
			}
			assert.True(t, bytes.Equal(files[stem+"/THIRD_PARTY_LICENSES"], inImage[licenses]), stem)
			if platform == "linux_"+runtime.GOARCH {
				path := filepath.Join(t.TempDir(), program)
				require.NoError(t, os.WriteFile(path, files[stem+"/"+program], 0o755))
				said, err := exec.CommandContext(t.Context(), path, "--version").Output()
				require.NoError(t, err)
				assert.Contains(t, string(said), program+" v"+version+" (commit ")
			}
		}
	}
}

func TestChartInstallsTheImagesOfItsVersion(t *testing.T) {
	_, version := release(t)
	files, headers := contents(t, read(t, "leoflow-secrets-csi-"+version+".tgz"))
	var chart struct {
		Version, AppVersion string
		Annotations         map[string]string
	}
	require.NoError(t, yaml.Unmarshal(files["leoflow-secrets-csi/Chart.yaml"], &chart))
	assert.Equal(t, version, chart.Version)
	assert.Equal(t, "v"+version, chart.AppVersion)
	assert.Equal(t, strconv.FormatBool(strings.Contains(version, "-")), chart.Annotations["artifacthub.io/prerelease"])
	assert.Contains(t, files, "leoflow-secrets-csi/templates/driver/daemonset.yaml")
	for name, header := range headers {
		assert.Equal(t, int64(0o644), header.Mode, name)
	}
	digests := string(read(t, "leoflow-secrets-csi_"+version+"_image-digests.txt"))
	for _, name := range []string{"driver", "agent", "core"} {
		assert.Regexp(t, `(?m)^leoflow/secrets-csi/`+name+`:v`+regexp.QuoteMeta(version)+`@sha256:[0-9a-f]{64}$`, digests)
	}
}

// A wheel follows from the source and the version: built once more it is the same.
func TestBothPythonPackagesAreHandedOut(t *testing.T) {
	files, version := release(t)
	hasLists := bytes.Contains(read(t, "SHA256SUMS"), []byte(".cdx.json"))
	for _, project := range wheel.Projects {
		again, err := wheel.Build(os.DirFS(".."), project, "v"+version)
		require.NoError(t, err)
		require.Contains(t, files, again.Name)
		assert.True(t, bytes.Equal(again.Content, read(t, again.Name)), "%s is another one in the release", again.Name)
		if hasLists {
			list := string(read(t, strings.TrimSuffix(again.Name, ".whl")+".cdx.json"))
			assert.Contains(t, list, `"purl": "pkg:pypi/`+project.Name+"@")
			assert.NotContains(t, list, os.TempDir())
		}
	}
}

func TestSumsAreOfEveryFile(t *testing.T) {
	files, _ := release(t)
	sums := string(read(t, "SHA256SUMS"))
	for _, name := range files {
		if name != "SHA256SUMS" {
			assert.Contains(t, sums, "  "+name+"\n")
		}
	}
	assert.Equal(t, len(files)-1, strings.Count(sums, "\n"))
}

// What docs/releasing.md does with files it does with files that are there.
func TestDocumentNamesFilesOfARelease(t *testing.T) {
	files, version := release(t)
	text, err := os.ReadFile("../docs/releasing.md")
	require.NoError(t, err)
	names := regexp.MustCompile(`leoflow[a-z_-]*[_-]0\.1\.0[\w.-]*\w`).FindAllString(string(text), -1)
	assert.NotEmpty(t, names)
	for _, name := range names {
		of := version
		if strings.HasPrefix(name, "leoflow_") { // as Python spells versions
			of = wheel.Version("v" + version)
		}
		name = strings.ReplaceAll(name, "0.1.0", of)
		if strings.HasSuffix(name, ".cdx.json") && !bytes.Contains(read(t, "SHA256SUMS"), []byte(".cdx.json")) {
			continue // it was made without lists
		}
		assert.Contains(t, files, name)
	}
}
