package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"path"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// epoch is when every file in the images was made. A true time, be it the commit's,
// would make a layer that stayed the same another one.
var epoch = time.Unix(0, 0).UTC()

// layerOf is a layer of one file, which belongs to root, and its directories.
func layerOf(f file) (v1.Layer, error) {
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	for _, directory := range parents(f.path) {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: directory + "/", Mode: 0o755, ModTime: epoch}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.path, "/"), Mode: f.mode, Size: int64(len(f.content)), ModTime: epoch}
	if err := writer.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := writer.Write(f.content); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestCompression))
}

// parents are the directories above the file, the outermost first.
func parents(name string) []string {
	var above []string
	for directory := path.Dir(strings.TrimPrefix(name, "/")); directory != "."; directory = path.Dir(directory) {
		above = append([]string{directory}, above...)
	}
	return above
}
