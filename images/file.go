package main

import (
	"context"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/leoflow/secrets-csi/internal/wheel"
)

// file is one that an image holds.
type file struct {
	path    string
	mode    int64
	content []byte
}

// files are all that the image holds, first those that change least.
func (r recipe) files(ctx context.Context, o options, platform v1.Platform) ([]file, error) {
	license, err := os.ReadFile(filepath.Join(o.source, "LICENSE"))
	if err != nil {
		return nil, err
	}
	files := []file{{licensePath, 0o644, license}}
	if r.roots {
		certificates, err := roots()
		if err != nil {
			return nil, err
		}
		files = append(files, file{rootsPath, 0o644, certificates})
	}
	if r.python {
		// Under a name without a version, which Python imports from all the same.
		built, err := wheel.Build(os.DirFS(o.source), wheel.Runtime, o.tag)
		if err != nil {
			return nil, err
		}
		files = append(files, file{"/leoflow_runtime.whl", 0o644, built.Content})
	}
	program, notices, err := r.program(ctx, o, platform)
	if err != nil {
		return nil, err
	}
	return append(files, file{noticesPath, 0o644, notices}, file{r.binary(), 0o755, program}), nil
}

// program builds the binary, and gathers the licenses of what is compiled into it. Both
// stay in o.binaries.
func (r recipe) program(ctx context.Context, o options, platform v1.Platform) (binary, licenses []byte, err error) {
	path := filepath.Join(o.binaries, r.name+"-"+platform.OS+"-"+platform.Architecture)
	if err := compile(ctx, o, r.name, platform, path); err != nil {
		return nil, nil, err
	}
	if binary, err = os.ReadFile(path); err != nil {
		return nil, nil, err
	}
	if licenses, err = notices(ctx, o, r.name, platform); err != nil {
		return nil, nil, err
	}
	return binary, licenses, os.WriteFile(path+".licenses", licenses, 0o644)
}
