package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Outcome is what Write did.
type Outcome struct {
	// Generation is the number of the generation that the volume shows now.
	Generation uint64
	// Changed tells whether this call made that generation. If not, the content was
	// there already and has only been confirmed.
	Changed bool
	// Entries are the lines of the manifest, and Withdrawn those that were delivered
	// before this call and are no more.
	Entries, Withdrawn []layout.Entry
	// Memory is what the volume takes now, in bytes; 0 where that is not known.
	Memory int64
}

// write makes the volume show content, all of it or nothing. Readers who
// open "..data" once and read beneath it see one generation whole; they start again
// when it goes away under them.
//
//  1. Open the root of the volume, and do the rest through that handle.
//  2. Find the generation that is shown.
//  3. Delete what a writer that was killed has left.
//  4. Settle the content against that generation: what is held is carried over, bytes
//     that stand keep their version, what has grown beyond the cap, or beyond the memory
//     that there is, is held too.
//  5. If that generation has the files, with mode and group, confirm it, with a manifest
//     in the place of the old one if a line differs, and go to 8.
//  6. Write the new generation into a directory of its own. If that fails, delete it; for
//     want of room, make some, and try once more.
//  7. Swap: make a temporary link to it, and rename that onto the data link.
//  8. Let the root of the volume be entered, and make the links in it that are not
//     there: after the swap, so that none ever dangles.
//  9. Delete the generation that was shown before.
//
// An error before 7 is done leaves the volume showing what it showed. An error after
// it leaves the new generation shown; Outcome says which, and the next Write puts the
// rest right. So does the next Write after a kill at any instant.
func (v volume) write(content Content) (Outcome, error) {
	current, stands, err := v.shown() // 2
	if err != nil {
		return Outcome{}, err
	}
	defer stands.close()
	outcome := Outcome{Generation: current.Manifest.Generation}
	found, err := v.sweep(current.name) // 3
	if err == nil && stands.files != nil {
		err = stands.files.sweepTokens(stands.identities)
	}
	if err != nil {
		return outcome, fmt.Errorf("deleting leftovers: %w", err)
	}
	if content.Rest && current.Manifest.Generation > 0 {
		content.Manifest.Fetched = current.Confirmed.UTC()
	}
	planned := newPlan(content, stands) // 4
	files := planned.files()
	same := stands.has(files, content.Mode, content.GID)
	if !same {
		held, err := v.admit(&planned, content, stands)
		if err != nil {
			return outcome, err
		}
		if held {
			files = planned.files()
			same = stands.has(files, content.Mode, content.GID)
		}
	}
	outcome.Entries, outcome.Withdrawn = planned.entries(), stands.missingFrom(planned.lines)
	planned.describe(&content.Manifest)
	if same { // 5
		if err := keep(current, stands, content); !v.isKept(err) {
			return outcome, errors.Join(err, v.finish(content, found))
		}
	}
	if err := v.replace(content, files, outcome.Generation+1); err != nil { // 6, 7
		return outcome, err
	}
	outcome.Generation, outcome.Changed = outcome.Generation+1, true
	if err := v.finish(content, found); err != nil { // 8
		return outcome, err
	}
	return outcome, v.retire(current.name, stands) // 9
}

// shown finds what a new generation follows. What somebody else put in its place, in a guest, is a leftover.
func (v volume) shown() (Generation, *standing, error) {
	current, top, err := v.current()
	switch isTheirs := current.name != "" && !isGeneration(current.name); {
	case v.isGuest && (isTheirs || isMislaid(err)):
		top.close()
		current, top = Generation{}, closed
	case err != nil && !isRepairable(err):
		top.close()
		return Generation{}, nil, err
	}
	return current, newStanding(current, top), nil
}

// admit makes the plan fit into the volume and into the memory that there is.
func (v volume) admit(p *plan, content Content, stands *standing) (held bool, err error) {
	if held, err = v.fit(p, content, stands); err != nil {
		return held, err
	}
	shorter, err := v.reserve(p, content, stands)
	return held || shorter, err
}

// isRepairable tells whether a new generation can follow in spite of err: there was
// none, or its manifest is lost or broken. The generations are then counted from 1
// again.
func isRepairable(err error) bool {
	return errors.Is(err, ErrNoGeneration) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, layout.ErrManifest)
}

// isMislaid tells that somebody else put something in the place of what a guest shows, which is then a leftover.
func isMislaid(err error) bool {
	isOdd := func(odd error) bool { return errors.Is(err, odd) }
	return slices.ContainsFunc([]error{fs.ErrPermission, unix.EINVAL, unix.ENOTDIR, unix.ELOOP}, isOdd)
}

// keep confirms the generation, whose files are right. Its manifest says when it was made.
func keep(current Generation, stands *standing, content Content) error {
	made := content.Manifest
	made.Fetched = current.Manifest.Fetched
	manifest, err := encode(made, current.Manifest.Generation)
	if err != nil {
		return err
	}
	if stands.files.has(File{Path: layout.ManifestFile, Data: manifest}, content.Mode, content.GID) {
		return stands.files.confirm(content.Manifest.Fetched)
	}
	return stands.files.rewrite(manifest, content)
}

func (v volume) replace(content Content, files []File, number uint64) error {
	manifest, err := encode(content.Manifest, number)
	if err != nil {
		return err
	}
	files = append(files, File{Path: layout.ManifestFile, Data: manifest})
	name, err := v.stage(content, files) // 6
	if errors.Is(err, unix.ENOSPC) && content.Cap > 0 && !v.isGuest && v.makeRoom(files) == nil {
		name, err = v.stage(content, files)
	}
	if err == nil {
		err = v.swap(name) // 7
	}
	return v.full(err, files)
}

func (v volume) swap(name string) error {
	err := v.symlink(name, layout.DataLinkTemp)
	if err == nil {
		err = v.rename(layout.DataLinkTemp, layout.DataLink)
	}
	if err != nil {
		return errors.Join(err, v.remove(layout.DataLinkTemp), v.remove(name))
	}
	return nil
}

// finish makes the links that were not found.
func (v volume) finish(content Content, found []member) error {
	if !v.isGuest {
		root := access{mode: content.dirMode(), gid: content.GID}
		if err := root.give(v.directory, int(v.directory), "."); err != nil {
			return err
		}
	}
	names := append(layout.ValueDirs(), layout.ManifestFile)
	if len(content.Manifest.Identities) > 0 {
		names = append(names, layout.IdentityDir)
	} else if slices.ContainsFunc(found, func(one member) bool { return one.name == layout.IdentityDir }) {
		if err := v.remove(layout.IdentityDir); err != nil {
			return err
		}
	}
	for _, name := range names {
		if slices.ContainsFunc(found, func(one member) bool { return one.name == name }) {
			continue
		}
		err := v.symlink(layout.DataLink+"/"+name, name)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// retire deletes the generation that was shown. What the manifest and the layout name is
// deleted by name; only where more is there, or less, is it looked for.
func (v volume) retire(name string, stands *standing) error {
	if name == "" {
		return nil
	}
	if stands.files != nil && stands.removeFiles() == nil && v.unlink(name, unix.AT_REMOVEDIR) == nil {
		return nil
	}
	return v.discard(member{name: name, isDir: true})
}
