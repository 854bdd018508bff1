package mount

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"regexp"
	"slices"
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

// current finds the generation that the data link names, and opens it. With an error about
// its manifest comes its name all the same.
func (v volume) current() (current Generation, top directory, err error) {
	current.name, err = v.readlink(layout.DataLink)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNoGeneration
	}
	if err != nil {
		return Generation{}, closed, err
	}
	top, err = v.enter(current.name)
	if err != nil {
		return current, closed, err
	}
	text, stat, err := top.read(layout.ManifestFile)
	if err != nil {
		return current, top, err
	}
	current.Confirmed = time.Unix(stat.Mtim.Unix())
	current.Manifest, err = layout.ParseManifest(text)
	return current, top, err
}

// files are the directories of a generation, held open.
type files struct {
	top directory
	// values are in the order of layout.ValueDirs, and then that of identities; closed before anything
	// is looked for there, and where there is none.
	values [4]directory
}

func filesIn(top directory) *files {
	return &files{top, [...]directory{closed, closed, closed, closed}}
}

// valueDirs are the names of the directories in files.
func valueDirs() [4]string {
	return [...]string{layout.ConnectionsDir, layout.VariablesDir, layout.AirflowDir, layout.IdentityDir}
}

func (f *files) close() {
	for _, dir := range f.values {
		dir.close()
	}
	f.top.close()
}

// locate returns the directory that a file of the volume is in, and its name there.
func (f *files) locate(path string) (directory, string) {
	dir, name, found := strings.Cut(path, "/")
	if !found {
		return f.top, path
	}
	dirs := valueDirs()
	if i := slices.Index(dirs[:], dir); i >= 0 {
		return f.value(i), name
	}
	return closed, name
}

// value opens a directory of values where it is not. What is in one that cannot be opened
// cannot be read either.
func (f *files) value(i int) directory {
	if f.values[i] == closed {
		f.values[i], _ = f.top.enter(valueDirs()[i])
	}
	return f.values[i]
}

func (f *files) read(path string) ([]byte, error) {
	dir, name := f.locate(path)
	data, _, err := dir.read(name)
	return data, err
}

func (f *files) unlink(path string) error {
	dir, name := f.locate(path)
	return dir.unlink(name, 0)
}

// rewrite puts another manifest into the generation that is shown: what stands beside it
// stays, and no one who watches the volume is woken.
func (f *files) rewrite(manifest []byte, content Content) error {
	if err := f.top.remove(manifestTemp); err != nil { // a killed writer's
		return err
	}
	err := f.top.create(manifestTemp, manifest, &access{mode: content.Mode, gid: content.GID})
	if err == nil {
		err = f.top.touch(manifestTemp, content.Manifest.Fetched)
	}
	if err == nil {
		err = f.top.rename(manifestTemp, layout.ManifestFile)
	}
	if err != nil {
		return errors.Join(err, f.top.remove(manifestTemp))
	}
	return nil
}

// manifestTemp is a manifest that does not stand yet.
const manifestTemp = layout.ManifestFile + ".next"

// confirm records that the generation was still current at the given time. It changes no
// content, and wakes no one who watches the volume.
func (f *files) confirm(at time.Time) error { return f.top.touch(layout.ManifestFile, at) }

// newGeneration is the name of a generation's directory.
func newGeneration() string {
	return time.Now().UTC().Format("..2006_01_02_15_04_05.") + strings.ToLower(rand.Text()[:10])
}

// isGeneration tells the names that newGeneration gives, in any build.
func isGeneration(name string) bool { return generationName.MatchString(name) }

var generationName = regexp.MustCompile(`^\.\.\d{4}(_\d\d){5}\.[a-z0-9]+$`)

// stage writes a generation that nothing names yet. If that fails, nothing of it
// stays.
func (v volume) stage(content Content, all []File) (name string, err error) {
	name = newGeneration()
	made, err := v.mkdirs(name)
	if err == nil {
		err = made.fill(content, all)
	}
	made.close()
	if err != nil {
		return "", errors.Join(err, v.remove(name))
	}
	return name, nil
}

// mkdirs makes the directories of a generation, but for that of identities, which root alone can enter for now. Those
// that it made before it failed are open.
func (v volume) mkdirs(name string) (made *files, err error) {
	made = filesIn(closed)
	if made.top, err = v.mkdir(name); err != nil {
		return made, err
	}
	for i, dir := range layout.ValueDirs() {
		if made.values[i], err = made.top.mkdir(dir); err != nil {
			return made, err
		}
	}
	return made, nil
}

// fill writes the files of a generation, and then lets it be entered.
func (f *files) fill(content Content, all []File) error {
	file, dir := access{mode: content.Mode, gid: content.GID}, access{mode: content.dirMode(), gid: content.GID}
	if hasIdentity(all) {
		last := len(f.values) - 1
		var err error
		if f.values[last], err = f.top.mkdir(layout.IdentityDir); err != nil {
			return err
		}
	}
	for _, one := range all {
		in, name := f.locate(one.Path)
		if err := in.create(name, one.Data, &file); err != nil {
			return err
		}
	}
	for _, one := range append(f.values[:], f.top) {
		if one == closed { // there is no identity
			continue
		}
		if err := dir.give(one, int(one), "."); err != nil {
			return err
		}
	}
	return f.confirm(content.Manifest.Fetched)
}
