package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// packed is a file in an archive.
type packed struct {
	name    string
	mode    int64
	content []byte
}

// packPrograms writes an archive for each program and platform, in the form that
// releases of Go programs have everywhere.
func (r release) packPrograms(context.Context) error {
	licenses, err := filepath.Glob(filepath.Join(r.programsDir(), "*.licenses"))
	if err != nil {
		return err
	}
	for _, path := range licenses {
		program := strings.TrimSuffix(path, ".licenses")
		if err := r.packProgram(program); err != nil {
			return err
		}
	}
	return nil
}

func (r release) packProgram(program string) error {
	stem := r.stem(filepath.Base(program))
	name, _, _ := strings.Cut(filepath.Base(program), "-")
	var files []packed
	for _, f := range []struct {
		name, source string
		mode         int64
	}{
		{"LICENSE", filepath.Join(r.root, "LICENSE"), 0o644},
		{"README.md", filepath.Join(r.root, "README.md"), 0o644},
		{"THIRD_PARTY_LICENSES", program + ".licenses", 0o644},
		{name, program, 0o755},
	} {
		content, err := os.ReadFile(f.source)
		if err != nil {
			return err
		}
		files = append(files, packed{stem + "/" + f.name, f.mode, content})
	}
	return writeArchive(filepath.Join(r.finished, stem+".tar.gz"), r.committed, files)
}

// writeArchive writes a gzipped tar whose bytes follow from the files and the time
// alone: they belong to root, and nothing tells of this machine.
func writeArchive(path string, made time.Time, files []packed) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	compressor, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		return err
	}
	writer := tar.NewWriter(compressor)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: made}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		if _, err := writer.Write(f.content); err != nil {
			return err
		}
	}
	return errors.Join(writer.Close(), compressor.Close())
}

// readArchive reads the regular files of a gzipped tar, in their order.
func readArchive(path string) (files []packed, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	decompressor, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	reader := tar.NewReader(decompressor)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			return nil, err
		}
		files = append(files, packed{header.Name, header.Mode, content})
	}
}
