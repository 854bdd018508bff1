package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// epoch is when every file in the images was made. A true time, be it the commit's,
// would make a layer that stayed the same another one.
var epoch = time.Unix(0, 0).UTC()

// file is one that an image or a layout holds.
type file struct {
	path    string
	mode    int64
	content []byte
}

// buildPlatform writes one image as docker save does, and returns it.
func buildPlatform(o options, r recipe, platform v1.Platform, program string) (image v1.Image, files []file, err error) {
	// First those that change least.
	files = []file{{path: "/licenses/LICENSE", mode: 0o644}, {path: "/licenses/THIRD_PARTY_LICENSES", mode: 0o644}, {path: "/" + r.name, mode: 0o755}}
	sources := []string{filepath.Join(o.programs, "LICENSE"), program + ".licenses", program}
	if r.python { // under a name without a version, which Python imports from all the same
		wheels, err := filepath.Glob(filepath.Join(o.programs, "leoflow_runtime-*.whl"))
		if err != nil || len(wheels) != 1 {
			return nil, nil, fmt.Errorf("%d wheels of leoflow_runtime in %s", len(wheels), o.programs)
		}
		files = append(files, file{path: "/leoflow_runtime.whl", mode: 0o644})
		sources = append(sources, wheels[0])
	}
	for _, other := range r.beside {
		beside := filepath.Join(o.programs, other+"-"+platform.OS+"-"+platform.Architecture)
		files = append(files, file{path: "/licenses/" + other + "/THIRD_PARTY_LICENSES", mode: 0o644}, file{path: "/" + other, mode: 0o755})
		sources = append(sources, beside+".licenses", beside)
	}
	for i, source := range sources {
		if files[i].content, err = os.ReadFile(source); err != nil {
			return nil, nil, err
		}
	}
	if r.roots {
		files = append([]file{{rootsPath, 0o644, roots()}}, files...)
	}
	image, err = assemble(o, r, platform, files)
	tag, errTag := name.NewTag(o.reference(r))
	if err := errors.Join(err, errTag); err != nil {
		return nil, nil, err
	}
	return image, files, tarball.WriteToFile(filepath.Join(o.out, filepath.Base(program)+".tar"), tag, image)
}

const rootsPath = "/etc/ssl/certs/ca-certificates.crt" // the first place where Go looks on Linux

// roots are Mozilla's CA certificates, as PEM. Those that Mozilla trusts only in part, such as
// for certificates of before some day, are left out: a PEM file cannot say so.
func roots() []byte {
	var pems bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&pems, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // into memory
		}
	}
	return pems.Bytes()
}

// assemble makes an image, with a layer for each file, and says how to run it and what it is, in
// the labels of the OCI image specification.
func assemble(o options, r recipe, platform v1.Platform, files []file) (v1.Image, error) {
	image := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	for _, f := range files {
		packed, err := tarOf(f)
		if err != nil {
			return nil, err
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil }
		layer, err := tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{Layer: layer, MediaType: types.OCILayer, History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "add " + f.path}})
		if err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	created := time.Unix(o.created, 0).UTC()
	config.OS, config.Architecture, config.Variant, config.Created = platform.OS, platform.Architecture, platform.Variant, v1.Time{Time: created}
	const prefix = "org.opencontainers.image."
	config.Config = v1.Config{Entrypoint: []string{"/" + r.name}, User: r.user, WorkingDir: "/", Labels: map[string]string{
		prefix + "title": "leoflow-secrets-csi-" + r.name, prefix + "description": r.summary,
		prefix + "version": o.tag, prefix + "revision": o.revision, prefix + "created": created.Format(time.RFC3339),
		prefix + "licenses": "Apache-2.0", prefix + "source": "https://github.com/leoflow/secrets-csi",
	}}
	return mutate.ConfigFile(image, config)
}

// tarOf archives files in their order, with the directories above each, as root's and of no time.
func tarOf(files ...file) ([]byte, error) {
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	made := map[string]bool{".": true}
	var mkdir func(directory string) error
	mkdir = func(directory string) error {
		if made[directory] {
			return nil
		}
		made[directory] = true
		err := mkdir(path.Dir(directory))
		return errors.Join(err, writer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: directory + "/", Mode: 0o755, ModTime: epoch}))
	}
	for _, f := range files {
		name := strings.TrimPrefix(f.path, "/")
		err := mkdir(path.Dir(name))
		err = errors.Join(err, writer.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: f.mode, Size: int64(len(f.content)), ModTime: epoch}))
		if _, errWrite := writer.Write(f.content); err != nil || errWrite != nil {
			return nil, errors.Join(err, errWrite)
		}
	}
	err := writer.Close()
	return packed.Bytes(), err
}

// writeLayout writes the images of all platforms as one OCI layout, under the names that
// containerd and other tools look for.
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
	named := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index, Descriptor: v1.Descriptor{Annotations: map[string]string{
		"org.opencontainers.image.ref.name": o.tag, "io.containerd.image.name": kubeletsName(tag),
	}}})
	if _, err := layout.Write(directory, named); err != nil {
		return err
	}
	var files []file
	tree := os.DirFS(directory)
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		files = append(files, file{name, 0o644, content})
		return err
	})
	packed, errPack := tarOf(files...)
	return errors.Join(err, errPack, os.WriteFile(filepath.Join(o.out, r.name+".oci.tar"), packed, 0o644))
}

// kubeletsName is the whole name that kubelet asks containerd for. The library calls Docker's
// registry by its host.
func kubeletsName(tag name.Tag) string {
	return strings.Replace(tag.Name(), name.DefaultRegistry, "docker.io", 1)
}
