// Package keyfile reads files that hold a secret. No error names the file: whoever gives the secret
// itself in the place of the file's name has it there.
package keyfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const mostBytes = 64 << 10

// Read reads the whole file, whose name the flag has.
func Read(flag, name string) (secret.Text, error) {
	content, err := read(name)
	if err != nil {
		return secret.Text{}, fmt.Errorf("%s: %w", flag, err)
	}
	return secret.New(string(content)), nil
}

func read(name string) ([]byte, error) {
	file, err := regular.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the file that it names: %w", cause(err))
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, mostBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the file that it names: %w", cause(err))
	case len(content) > mostBytes:
		return nil, fmt.Errorf("the file that it names is larger than %d KiB", mostBytes>>10)
	}
	return content, nil
}

// cause is err without the file's name.
func cause(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return errors.New("it cannot be read")
}
