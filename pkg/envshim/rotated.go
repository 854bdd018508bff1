package envshim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// mostOfFile is far above what a volume's environment has.
const mostOfFile = 64 << 20

// Rotated waits for a volume to hold other values than somebody has.
type Rotated struct {
	Dir string
	// As are the shapes that connections were given.
	As []Shape
	// EnvFile is what Kubelet's format wrote for that somebody; empty for whoever has what the
	// volume shows when Wait is called.
	EnvFile string
	// OmitEmpty is set if EnvFile was written without empty values.
	OmitEmpty bool
	// Debounce is how long to gather changes.
	Debounce time.Duration
	// Tell is given a line for what goes on failing. It holds no value.
	Tell func(line string)
}

// Wait returns the generation that differs, once there is one. What cannot be read, or written
// in kubelet's format, is no reason to stop a program that runs: it is told, and waited out.
func (r Rotated) Wait(ctx context.Context) (generation uint64, err error) {
	watching, stop := context.WithCancel(ctx)
	changed := watchGenerations(watching, r.Dir, slowPoll, func(error) {})
	defer func() {
		stop()
		for range changed {
			continue
		}
	}()
	differs := r.fromFile
	if r.EnvFile == "" {
		snapshot, err := Read(r.Dir, r.As...)
		if err != nil {
			return 0, err
		}
		differs = fromEntries(snapshot.Entries)
	}
	complaint := ""
	for {
		snapshot, err := Read(r.Dir, r.As...)
		var isOther bool
		if err == nil {
			isOther, err = differs(snapshot)
		}
		var retry <-chan time.Time
		switch {
		case isOther:
			return snapshot.Manifest.Generation, nil
		case err != nil:
			if line := fmt.Sprintf("keeping the program as it is: %v", err); line != complaint {
				r.Tell(line)
				complaint = line
			}
			retry = time.After(slowPoll)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-retry:
		case <-changed:
			select {
			case <-ctx.Done():
			case <-time.After(r.Debounce):
			}
		}
	}
}

func fromEntries(entries []Entry) func(Snapshot) (bool, error) {
	fingerprints := fingerprinter{maphash.MakeSeed()}
	known := fingerprints.of(entries)
	return func(s Snapshot) (bool, error) { return fingerprints.of(s.Entries) != known, nil }
}

// fromFile compares with what was handed out, so that a rotation between the writing of the file
// and the start of this process is seen, and one while it was being restarted.
func (r Rotated) fromFile(s Snapshot) (bool, error) {
	known, unread := regular.Read(r.EnvFile, mostOfFile)
	entries := s.placedAs(known)
	if r.OmitEmpty {
		entries = WithoutEmpty(entries)
	}
	var now bytes.Buffer
	if err := Kubelet.Write(&now, entries); err != nil {
		return false, fmt.Errorf("generation %d: %w", s.Manifest.Generation, err)
	}
	if errors.Is(unread, fs.ErrNotExist) {
		return false, fmt.Errorf("%w: is it what 'agent env --format kubelet --output' wrote?", unread)
	}
	return unread == nil && !bytes.Equal(known, now.Bytes()), unread
}

// placedAs are the entries with the paths of identities' files as text, of Kubelet's format, has them: who wrote it may
// have the volume elsewhere, and to write it again would change nothing.
func (s Snapshot) placedAs(text []byte) []Entry {
	paths := map[string]string{}
	for _, one := range s.Manifest.Identities {
		for _, v := range one.Variables {
			if v.File != "" {
				paths[v.Name] = "/" + v.File
			}
		}
	}
	entries := slices.Clone(s.Entries)
	for i, e := range entries {
		path, isPath := paths[e.Env]
		if e.Kind != kindIdentity || !isPath {
			continue
		}
		_, after, _ := bytes.Cut(append([]byte("\n"), text...), []byte("\n"+e.Env+"='")) // no value has a quote
		if value, _, _ := bytes.Cut(after, []byte("'")); bytes.HasSuffix(value, []byte(path)) {
			entries[i].Value = secret.New(string(value))
		}
	}
	return entries
}
