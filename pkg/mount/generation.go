package mount

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Generation is what a volume shows.
type Generation struct {
	Manifest layout.Manifest
	// Confirmed is when the content was last known to be current.
	Confirmed time.Time
	// name is the directory's; empty if the volume shows nothing.
	name string
}

// Current returns what the volume at target shows: ErrNoGeneration if nothing yet,
// layout.ErrManifest if its manifest cannot be used.
func Current(target string) (Generation, error) {
	volume, err := openVolume(target)
	if err != nil {
		return Generation{}, err
	}
	defer volume.close()
	current, err := volume.current()
	if err != nil {
		return Generation{}, fmt.Errorf("reading %s: %w", target, err)
	}
	return current, nil
}

// confirm records that the generation was still current at the given time. It changes no
// content, and wakes no one who watches the volume.
func (v *volume) confirm(generation string, at time.Time) error {
	return v.root.Chtimes(generation+"/"+layout.ManifestFile, at, at)
}

// current finds the generation that the data link names. With an error about its
// manifest comes its name all the same.
func (v *volume) current() (Generation, error) {
	name, err := v.root.Readlink(layout.DataLink)
	if errors.Is(err, fs.ErrNotExist) {
		return Generation{}, ErrNoGeneration
	}
	if err != nil {
		return Generation{}, err
	}
	current := Generation{name: name}
	manifest, err := v.root.Open(name + "/" + layout.ManifestFile)
	if err != nil {
		return current, err
	}
	defer manifest.Close()
	info, err := manifest.Stat()
	if err != nil {
		return current, err
	}
	current.Confirmed = info.ModTime()
	current.Manifest, err = layout.ReadManifest(manifest)
	return current, err
}

// rewrite puts another manifest into the generation that is shown: what stands beside it
// stays, and no one who watches the volume is woken.
func (v *volume) rewrite(generation string, manifest []byte, content Content) error {
	root, err := v.root.OpenRoot(generation)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.RemoveAll(manifestTemp); err != nil { // a killed writer's
		return err
	}
	err = create(root, File{Path: manifestTemp, Data: manifest}, content)
	if err == nil {
		err = root.Chtimes(manifestTemp, content.Manifest.Fetched, content.Manifest.Fetched)
	}
	if err == nil {
		err = root.Rename(manifestTemp, layout.ManifestFile)
	}
	if err != nil {
		return errors.Join(err, root.RemoveAll(manifestTemp))
	}
	return nil
}

// manifestTemp is a manifest that does not stand yet.
const manifestTemp = layout.ManifestFile + ".next"

// stage writes a generation that nothing names yet. If that fails, nothing of it
// stays.
func (v *volume) stage(content Content, files []File) (name string, err error) {
	name = time.Now().UTC().Format("..2006_01_02_15_04_05.") + strings.ToLower(rand.Text()[:10])
	if err := v.writeGeneration(name, content, files); err != nil {
		return "", errors.Join(err, v.root.RemoveAll(name))
	}
	return name, nil
}

func (v *volume) writeGeneration(name string, content Content, files []File) error {
	if err := v.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	generation, err := v.root.OpenRoot(name)
	if err != nil {
		return err
	}
	defer generation.Close()
	if err := fill(generation, content, files); err != nil {
		return err
	}
	return v.confirm(name, content.Manifest.Fetched)
}

func fill(generation *os.Root, content Content, files []File) error {
	for _, dir := range layout.ValueDirs() {
		if err := generation.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := create(generation, file, content); err != nil {
			return err
		}
	}
	for _, dir := range append(layout.ValueDirs(), ".") {
		if err := own(generation, dir, content.dirMode(), content.GID); err != nil {
			return err
		}
	}
	return nil
}

func create(generation *os.Root, file File, content Content) (err error) {
	created, err := generation.OpenFile(file.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, created.Close()) }()
	if _, err := created.Write(file.Data); err != nil {
		return err
	}
	if err := created.Chown(-1, content.GID); err != nil {
		return err
	}
	return created.Chmod(content.Mode)
}
