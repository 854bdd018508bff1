package image

import (
	"archive/tar"
	"bytes"
	"strings"
	"time"
)

// file is one of a layer: a directory if the name ends in a slash, a symbolic link if
// link is set.
type file struct {
	name    string
	mode    int64
	content []byte
	link    string
}

// archive packs the files as a layer. The same files make the same bytes.
func archive(files []file) ([]byte, error) {
	var packed bytes.Buffer
	writer := tar.NewWriter(&packed)
	for _, file := range files {
		if err := writer.WriteHeader(file.header()); err != nil {
			return nil, err
		}
		if _, err := writer.Write(file.content); err != nil {
			return nil, err
		}
	}
	return packed.Bytes(), writer.Close()
}

func (f file) header() *tar.Header {
	header := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     f.name,
		Mode:     f.mode,
		Size:     int64(len(f.content)),
		Linkname: f.link,
		ModTime:  time.Unix(0, 0),
	}
	switch {
	case f.link != "":
		header.Typeflag = tar.TypeSymlink
	case strings.HasSuffix(f.name, "/"):
		header.Typeflag = tar.TypeDir
	}
	return header
}
