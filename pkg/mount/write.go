package mount

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Outcome is what Write did.
type Outcome struct {
	// Generation is the number of the generation that the volume shows now.
	Generation uint64
	// Changed tells whether this call made that generation. If not, the content was
	// there already and has only been confirmed.
	Changed bool
}

// Write makes the volume at target show content, all of it or nothing. Readers who
// open "..data" once and read beneath it see one generation whole; they start again
// when it goes away under them.
//
//  1. Open the root of the volume, and do the rest through that handle.
//  2. Find the generation that is shown.
//  3. Delete what a writer that was killed has left.
//  4. If the shown generation has this content, with mode and group, confirm it and
//     go to 7.
//  5. Write the new generation into a directory of its own. If that fails, for want of
//     room beside the shown generation say, delete it.
//  6. Swap: make a temporary link to it, and rename that onto the data link.
//  7. Let the root of the volume be entered, and make the links in it that are not
//     there: after the swap, so that none ever dangles.
//  8. Delete the generation that was shown before.
//
// An error before 6 is done leaves the volume showing what it showed. An error after
// it leaves the new generation shown; Outcome says which, and the next Write puts the
// rest right. So does the next Write after a kill at any instant.
func Write(target string, content Content) (Outcome, error) {
	if err := content.validate(); err != nil {
		return Outcome{}, fmt.Errorf("writing %s: %w", target, err)
	}
	volume, err := openVolume(target) // 1
	if err != nil {
		return Outcome{}, err
	}
	defer volume.close()
	outcome, err := volume.write(content)
	if err != nil {
		return outcome, fmt.Errorf("writing %s: %w", target, err)
	}
	return outcome, nil
}

func (v *volume) write(content Content) (Outcome, error) {
	current, err := v.current() // 2
	if err != nil && !isRepairable(err) {
		return Outcome{}, err
	}
	outcome := Outcome{Generation: current.Manifest.Generation}
	if err := v.sweep(current.name); err != nil { // 3
		return outcome, fmt.Errorf("deleting leftovers: %w", err)
	}
	if v.shows(current, content) { // 4
		return outcome, errors.Join(v.confirm(current.name, content.Manifest.Fetched), v.finish(content))
	}
	if err := v.replace(content, outcome.Generation+1); err != nil { // 5, 6
		return outcome, err
	}
	outcome = Outcome{Generation: outcome.Generation + 1, Changed: true}
	if err := v.finish(content); err != nil { // 7
		return outcome, err
	}
	return outcome, v.retire(current.name) // 8
}

// isRepairable tells whether a new generation can follow in spite of err: there was
// none, or its manifest is lost or broken. The generations are then counted from 1
// again.
func isRepairable(err error) bool {
	return errors.Is(err, ErrNoGeneration) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, layout.ErrManifest)
}

func (v *volume) replace(content Content, number uint64) error {
	manifest, err := content.manifest(number)
	if err != nil {
		return err
	}
	files := content.with(manifest)
	name, err := v.stage(content, files) // 5
	if err == nil {
		err = v.swap(name) // 6
	}
	return v.full(err, files)
}

func (v *volume) swap(name string) error {
	err := v.root.Symlink(name, layout.DataLinkTemp)
	if err == nil {
		err = v.root.Rename(layout.DataLinkTemp, layout.DataLink)
	}
	if err != nil {
		return errors.Join(err, v.root.RemoveAll(layout.DataLinkTemp), v.root.RemoveAll(name))
	}
	return nil
}

func (v *volume) finish(content Content) error {
	if err := own(v.root, ".", content.dirMode(), content.GID); err != nil {
		return err
	}
	for _, name := range append(layout.ValueDirs(), layout.ManifestFile) {
		err := v.root.Symlink(layout.DataLink+"/"+name, name)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func (v *volume) retire(generation string) error {
	if generation == "" {
		return nil
	}
	return v.root.RemoveAll(generation)
}
