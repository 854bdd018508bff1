// Package envshim is what happens in the container: it reads one generation of a
// volume (snapshot.go), turns it into environment variables (environ.go), and becomes the
// program that wants them (program.go), or stands over that program and tells it of
// rotations (supervise.go).
package envshim

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// ErrNotDelivered is wrapped by Read while the volume is not there yet, or holds no
// generation yet. Waiting may cure it.
var ErrNotDelivered = errors.New("nothing is delivered yet")

// errSwapped means that the generation under the reader's hands was replaced and
// deleted. Reading again cures it.
var errSwapped = errors.New("the generation was replaced while it was read")

// Entry is a delivered entry and its value.
type Entry struct {
	layout.Entry
	Value secret.Text
	// isShaped is set for a variable that a Shape made of a connection, or that is of an identity. Its name
	// is no connection's.
	isShaped bool
}

// Snapshot is one whole generation of a volume.
type Snapshot struct {
	Manifest layout.Manifest
	// Entries are the delivered ones, in the manifest's order, and then what shapes made of them and the
	// variables of identities.
	Entries []Entry
}

// Environment parts the entries: those for an environment, and those that are too long
// for one and that nobody requires, which a program finds in the volume alone. With a
// backend, what that serves is in neither: Airflow asks its environment after it, so a copy
// there would outlive a withdrawal, and rotations too.
func (s Snapshot) Environment(backend Backend) (carried, left []Entry) {
	longest := CurrentLimits().String
	for _, entry := range s.Entries {
		switch {
		case backend.serves(entry):
		case entry.size() > longest && !entry.Required:
			left = append(left, entry)
		default:
			carried = append(carried, entry)
		}
	}
	return carried, left
}

// Read reads the generation that the volume at dir shows at present. It resolves "..data" once
// and reads everything beneath that one directory, so two entries never come from two
// generations; where the writer deleted that directory meanwhile, it starts over. as are shapes to
// give connections besides their own.
func Read(dir string, as ...Shape) (Snapshot, error) {
	const attempts = 1000
	volume, err := openVolume(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Snapshot{}, fmt.Errorf("%w: %s does not exist: is the volume mounted there (volumeMounts[].mountPath), or elsewhere (--dir)?", ErrNotDelivered, dir)
	}
	if err != nil {
		return Snapshot{}, unreadable(dir, err)
	}
	defer volume.close()
	for range attempts {
		snapshot, err := readCurrent(volume, as)
		switch {
		case err == nil:
			identified, err := snapshot.identified(dir)
			snapshot.Entries = append(snapshot.Entries, identified...)
			return snapshot, err
		case !errors.Is(err, errSwapped):
			return Snapshot{}, unreadable(dir, err)
		}
	}
	return Snapshot{}, fmt.Errorf("reading volume %s: replaced %d times in a row while it was read", dir, attempts)
}

// unreadable says what the user can do about err.
func unreadable(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("reading volume %s: %w: the files belong to the pod's group: set securityContext.fsGroup, or the volume's attribute mode", dir, err)
	}
	return fmt.Errorf("reading volume %s: %w", dir, err)
}

func readCurrent(volume directory, as []Shape) (Snapshot, error) {
	target, err := currentTarget(volume)
	if err != nil {
		return Snapshot{}, err
	}
	snapshot, err := readGeneration(volume, target, as)
	return snapshot, orSwapped(volume, target, err)
}

// currentTarget is the name of the directory that holds the present generation. The
// writer makes it a sibling of the link; anything else is not the writer's work.
func currentTarget(volume directory) (string, error) {
	target, err := volume.readlink(layout.DataLink)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: it has no %s: is it a Leoflow volume, and mounted without subPath?", ErrNotDelivered, layout.DataLink)
	case err != nil:
		return "", err
	case strings.ContainsRune(target, '/') || target == "..":
		return "", fmt.Errorf("%s leads out of the volume", layout.DataLink)
	}
	return target, nil
}

// orSwapped tells a file that is missing because its generation went away from one
// that the manifest promises and the volume lacks.
func orSwapped(volume directory, target string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if now, lookErr := currentTarget(volume); lookErr != nil || now == target {
		return err
	}
	return errSwapped
}

// What a reader accepts, so that nothing in a volume can exhaust its memory. A driver
// stays far below.
const (
	maxValueSize = 4 << 20
	maxTotalSize = 64 << 20
)

// readGeneration reads everything beneath one handle.
func readGeneration(volume directory, name string, as []Shape) (Snapshot, error) {
	top, err := volume.open(name)
	if err != nil {
		return Snapshot{}, cannotOpen(name, err)
	}
	files := files{top: top}
	defer files.close()
	text, err := files.read(layout.ManifestFile, layout.MaxManifestSize)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", layout.ManifestFile, err)
	}
	manifest, err := layout.ParseManifest(text)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", layout.ManifestFile, err)
	}
	snapshot := Snapshot{Manifest: manifest, Entries: make([]Entry, 0, len(manifest.Entries))}
	remaining := maxTotalSize
	for _, entry := range manifest.Entries {
		if entry.State != layout.Delivered {
			continue
		}
		value, err := files.read(entry.File, min(maxValueSize, remaining))
		if err != nil {
			return Snapshot{}, fmt.Errorf("%s %q: %w", entry.Kind, entry.ID, err)
		}
		remaining -= len(value)
		snapshot.Entries = append(snapshot.Entries, Entry{Entry: entry, Value: secret.New(string(value))})
	}
	shaped, err := snapshot.shaped(&files, as)
	snapshot.Entries = append(snapshot.Entries, shaped...)
	return snapshot, err
}
