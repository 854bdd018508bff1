// Package envshim is what happens in the container: it reads one generation of a
// volume, turns it into environment variables, and becomes the program that wants them,
// or stands over that program and tells it of rotations.
package envshim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// Entry is one delivered value and the environment variable that carries it.
type Entry struct {
	Kind    layout.Kind
	ID, Env string
	Value   secret.Text
}

// Snapshot is one whole generation of a volume.
type Snapshot struct {
	Manifest layout.Manifest
	// Entries are the delivered ones, in the manifest's order.
	Entries []Entry
}

// Environment parts the entries: those for an environment, and those that are too long
// for one and that nobody requires, which a program finds in the volume alone. With a
// backend, what Airflow's file backend serves is in neither: Airflow asks its environment
// after the file, so a copy there would outlive a withdrawal, and rotations too.
func (s Snapshot) Environment(withBackend bool) (carried, left []Entry) {
	lines := make(map[layout.Name]layout.Entry, len(s.Manifest.Entries))
	for _, line := range s.Manifest.Entries {
		lines[line.Name()] = line
	}
	for _, entry := range s.Entries {
		switch line := lines[layout.Name{Kind: entry.Kind, ID: entry.ID}]; {
		case withBackend && !line.Has(layout.NoticeExtraIsText):
		case !line.Required && entry.isTooLong():
			left = append(left, entry)
		default:
			carried = append(carried, entry)
		}
	}
	return carried, left
}

// Read returns the present generation of the volume at dir. It resolves "..data" once
// and reads everything beneath that one directory, so two entries never come from two
// generations; where the writer deleted that directory meanwhile, it starts over.
func Read(dir string) (Snapshot, error) {
	const attempts = 1000
	volume, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Snapshot{}, fmt.Errorf("%w: %s does not exist: is the volume mounted there (volumeMounts[].mountPath), or elsewhere (--dir)?", ErrNotDelivered, dir)
	}
	if err != nil {
		return Snapshot{}, unreadable(dir, err)
	}
	defer func() { _ = volume.Close() }()
	for range attempts {
		snapshot, err := readCurrent(volume)
		switch {
		case err == nil:
			return snapshot, nil
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

func readCurrent(volume *os.Root) (Snapshot, error) {
	target, err := currentTarget(volume)
	if err != nil {
		return Snapshot{}, err
	}
	generation, err := volume.OpenRoot(target)
	if err != nil {
		return Snapshot{}, orSwapped(volume, target, err)
	}
	defer func() { _ = generation.Close() }()
	snapshot, err := readGeneration(generation)
	return snapshot, orSwapped(volume, target, err)
}

// currentTarget is the name of the directory that holds the present generation. The
// writer makes it a sibling of the link; anything else is not the writer's work.
func currentTarget(volume *os.Root) (string, error) {
	target, err := volume.Readlink(layout.DataLink)
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
func orSwapped(volume *os.Root, target string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if now, lookErr := currentTarget(volume); lookErr != nil || now == target {
		return err
	}
	return errSwapped
}
