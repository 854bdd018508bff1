package main

import (
	"archive/tar"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// writeArchive writes the image of one platform as docker save does.
func writeArchive(o options, r recipe, platform v1.Platform, image v1.Image) error {
	tag, err := name.NewTag(o.reference(r))
	if err != nil {
		return err
	}
	return tarball.WriteToFile(filepath.Join(o.out, archiveName(r, platform)), tag, image)
}

func archiveName(r recipe, platform v1.Platform) string {
	return r.name + "-" + platform.OS + "-" + platform.Architecture + ".tar"
}

// writeLayout writes the images of all platforms as one OCI layout, under the names
// that containerd and other tools look for.
func writeLayout(o options, r recipe, index v1.ImageIndex) (err error) {
	tag, err := name.NewTag(o.reference(r))
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "leoflow-layout")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	named := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index, Descriptor: v1.Descriptor{
		Annotations: map[string]string{
			"org.opencontainers.image.ref.name": o.tag,
			"io.containerd.image.name":          kubeletsName(tag),
		},
	}})
	if _, err := layout.Write(directory, named); err != nil {
		return err
	}
	return pack(directory, filepath.Join(o.out, r.name+".oci.tar"))
}

// kubeletsName is the whole name that kubelet asks containerd for. The library calls
// Docker's registry by its host.
func kubeletsName(tag name.Tag) string {
	return strings.Replace(tag.Name(), name.DefaultRegistry, "docker.io", 1)
}

// pack archives the directory in the order of names and without times.
func pack(directory, path string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	writer := tar.NewWriter(file)
	tree := os.DirFS(directory)
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if entry.IsDir() {
			return writer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: epoch})
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: epoch}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		_, err = writer.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	return writer.Close()
}
