// Package envshim is what happens in the container: it reads one generation of a
// volume, turns it into environment variables, and becomes the program that wants them,
// or stands over that program and tells it of rotations.
package envshim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// What a reader accepts from a volume. A driver stays far below; anything above is not
// its work.
const (
	maxEntries    = 10_000
	maxValueSize  = 4 << 20
	maxTotalSize  = 64 << 20
	maxDataTarget = 255
)

// ErrNotDelivered is wrapped by Read while the volume is not there yet, or holds no
// generation yet. Waiting may cure it.
var ErrNotDelivered = errors.New("nothing is delivered yet")

// errSwapped means that the generation under the reader's hands was replaced and
// deleted. Reading again cures it.
var errSwapped = errors.New("the generation was replaced while it was read")

// Entry is one delivered value and the environment variable that carries it.
type Entry struct {
	Kind, ID, Env string
	Value         secret.Text
}

// Snapshot is one whole generation of a volume.
type Snapshot struct {
	Manifest layout.Manifest
	// Entries are the delivered ones, in the manifest's order.
	Entries []Entry
}

// Read returns the present generation of the volume at dir. It resolves "..data" once
// and reads everything beneath that one directory, so two entries never come from two
// generations; where the writer deleted that directory meanwhile, it starts over.
func Read(dir string) (Snapshot, error) {
	const attempts = 1000
	volume, err := os.OpenRoot(dir)
	if err != nil {
		return Snapshot{}, absentVolume(dir, err)
	}
	defer func() { _ = volume.Close() }()
	for range attempts {
		snapshot, err := readGeneration(volume)
		if !errors.Is(err, errSwapped) {
			return snapshot, describe(dir, err)
		}
	}
	return Snapshot{}, fmt.Errorf("reading %s: replaced %d times in a row while it was read", dir, attempts)
}

func absentVolume(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s does not exist; is the volume mounted there (volumeMounts[].mountPath), or elsewhere (--dir)?", ErrNotDelivered, dir)
	}
	return fmt.Errorf("opening the volume: %w", err)
}

func describe(dir string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("reading %s: %w", dir, err)
}

// currentTarget is the name of the directory that holds the present generation.
func currentTarget(volume *os.Root) (string, error) {
	target, err := volume.Readlink(layout.DataLink)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: it has no %s; is it a Leoflow volume?", ErrNotDelivered, layout.DataLink)
	case err != nil:
		return "", err
	case len(target) > maxDataTarget || strings.ContainsRune(target, '/'):
		return "", fmt.Errorf("%s leads out of the volume", layout.DataLink)
	}
	return target, nil
}

func readGeneration(volume *os.Root) (Snapshot, error) {
	target, err := currentTarget(volume)
	if err != nil {
		return Snapshot{}, err
	}
	generation, err := volume.OpenRoot(target)
	if err != nil {
		return Snapshot{}, orSwapped(volume, target, err)
	}
	defer func() { _ = generation.Close() }()
	snapshot, err := readBeneath(generation)
	return snapshot, orSwapped(volume, target, err)
}

// orSwapped tells a file that is missing because its generation went away from one
// that the manifest promises and the volume lacks.
func orSwapped(volume *os.Root, target string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if now, lookErr := currentTarget(volume); lookErr != nil || now == target {
		return err
	}
	return errSwapped
}

func readBeneath(generation *os.Root) (Snapshot, error) {
	manifest, err := readManifest(generation)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", layout.ManifestFile, err)
	}
	snapshot := Snapshot{Manifest: manifest}
	names, remaining := map[string]layout.Entry{}, int64(maxTotalSize)
	for _, described := range manifest.Entries {
		if described.State != layout.Delivered {
			continue
		}
		if err := checkName(names, described); err != nil {
			return Snapshot{}, err
		}
		value, err := readRegular(generation, described.File, min(maxValueSize, remaining))
		if err != nil {
			return Snapshot{}, fmt.Errorf("%s %q: %w", described.Kind, described.ID, err)
		}
		remaining -= int64(len(value))
		snapshot.Entries = append(snapshot.Entries,
			Entry{described.Kind, described.ID, described.Env, secret.New(string(value))})
	}
	return snapshot, nil
}

// checkName refuses a name that is none of Airflow's, so that no manifest can set
// LD_PRELOAD, and two ids that would share one variable.
func checkName(names map[string]layout.Entry, entry layout.Entry) error {
	prefixed := strings.HasPrefix(entry.Env, "AIRFLOW_CONN_") || strings.HasPrefix(entry.Env, "AIRFLOW_VAR_")
	if !prefixed || strings.ContainsAny(entry.Env, "=\x00") {
		return fmt.Errorf("%s %q: %q is no environment variable that Airflow looks up", entry.Kind, entry.ID, entry.Env)
	}
	if other, taken := names[entry.Env]; taken {
		return fmt.Errorf("%s %q and %s %q would both be %s: Airflow upper-cases ids; rename one or ask for one alone",
			other.Kind, other.ID, entry.Kind, entry.ID, entry.Env)
	}
	names[entry.Env] = entry
	return nil
}

// readRegular reads a regular file of at most limit bytes. It opens without blocking,
// so that a pipe in its place cannot hold the reader.
func readRegular(generation *os.Root, name string, limit int64) ([]byte, error) {
	file, err := generation.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", name)
	case info.Size() > limit:
		return nil, fmt.Errorf("%s holds %d bytes, which is more than a reader accepts", name, info.Size())
	}
	content := make([]byte, info.Size())
	_, err = io.ReadFull(file, content)
	return content, err
}
