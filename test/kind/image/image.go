// Package image makes the container images that a cluster of the tests' own needs, with
// no container engine and from no registry.
package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// The images' references. Nothing can be pulled by them.
const (
	Pause   = "localhost/leoflow/pause:test"
	Busybox = "localhost/leoflow/busybox:test"
)

// Build writes the images to the directory as docker-archive tars, and returns their
// paths. module is the directory of this module.
func Build(ctx context.Context, module, dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	pause, err := pauseFiles(ctx, module, dir)
	if err != nil {
		return nil, err
	}
	busybox, err := busyboxFiles(ctx)
	if err != nil {
		return nil, err
	}
	pausePath, busyboxPath := filepath.Join(dir, "pause.tar"), filepath.Join(dir, "busybox.tar")
	if err := write(pausePath, Pause, pause, v1.Config{Entrypoint: []string{"/pause"}}); err != nil {
		return nil, err
	}
	err = write(busyboxPath, Busybox, busybox, v1.Config{
		Cmd: []string{"/bin/sh"},
		Env: []string{"PATH=/bin"},
	})
	return []string{pausePath, busyboxPath}, err
}

// pauseFiles are the pause binary alone.
func pauseFiles(ctx context.Context, module, dir string) ([]file, error) {
	binary := filepath.Join(dir, "pause")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./image/pause")
	command.Dir = module
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building pause: %w: %s", err, output)
	}
	content, err := os.ReadFile(binary)
	return []file{{name: "pause", mode: 0o755, content: content}}, err
}

// busyboxFiles are the machine's static busybox under the name of each of its applets,
// and what makes a root file system of it.
func busyboxFiles(ctx context.Context) ([]file, error) {
	const binary = "/bin/busybox"
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	applets, err := exec.CommandContext(ctx, binary, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the applets of busybox: %w", err)
	}
	files := []file{
		{name: "bin/busybox", mode: 0o755, content: content},
		{name: "etc/passwd", mode: 0o644, content: []byte("root:x:0:0:root:/root:/bin/sh\n")},
		{name: "etc/group", mode: 0o644, content: []byte("root:x:0:\n")},
		{name: "tmp/", mode: 0o1777},
	}
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" {
			files = append(files, file{name: "bin/" + applet, mode: 0o777, link: "busybox"})
		}
	}
	return files, nil
}

// write makes an image of one layer.
func write(path, reference string, files []file, config v1.Config) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	image, err := assemble(files, config)
	if err != nil {
		return fmt.Errorf("assembling image %s: %w", reference, err)
	}
	return tarball.WriteToFile(path, tag, image)
}

func assemble(files []file, config v1.Config) (v1.Image, error) {
	content, err := archive(files)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	if err != nil {
		return nil, err
	}
	platform, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Config:       config,
		RootFS:       v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(platform, layer)
}
