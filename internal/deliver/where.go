package deliver

import (
	"io/fs"

	"github.com/leoflow/secrets-csi/pkg/mount"
)

// Place is where volumes stand: a tmpfs for each, mounted at its target path (Tmpfs), or one directory
// that somebody else made (Folder). All that a delivery does otherwise is the same. The errors are those of
// package mount.
type Place interface {
	// Targets are the paths of all volumes, those of an earlier process too.
	Targets() ([]string, error)
	// HasFiles tells whether a complete generation is at the path.
	HasFiles(target string) (bool, error)
	// Current is what the volume shows.
	Current(target string) (mount.Generation, error)
	// Stats measures the volume.
	Stats(target string) (Usage, error)
	// Blank begins a new volume at the path, which nobody sees yet; nil where there is nothing to make before it
	// is written.
	Blank(target string, size int64) (Blank, error)
	// Write makes the volume show the content.
	Write(target string, content mount.Content) (mount.Outcome, error)
	// Renew puts newer tokens of the pod, by audience, into the places of those that the volume shows.
	Renew(target string, tokens func(audience string) []byte, mode fs.FileMode, gid int) (clouds []string, err error)
	// End takes the volume away, and tells how many bytes of it somebody still has open.
	End(target string) (left int64, err error)
}

// Blank is a new volume that nobody sees yet.
type Blank interface {
	// Fill makes its first generation, and Mount shows it; false if a volume is there.
	Fill(content mount.Content) (mount.Outcome, error)
	Mount() (created bool, err error)
	// Close ends one that was not mounted.
	Close()
}

// Folder is the Place of one volume, in a directory that is there already. Its target path is the
// directory's.
type Folder struct{ *mount.Folder }

var _ Place = Folder{}

// Targets implements Place.
func (f Folder) Targets() ([]string, error) {
	has, err := f.Folder.HasFiles()
	if err != nil || !has {
		return nil, err
	}
	return []string{f.Path()}, nil
}

// HasFiles implements Place.
func (f Folder) HasFiles(string) (bool, error) { return f.Folder.HasFiles() }

// Current implements Place.
func (f Folder) Current(string) (mount.Generation, error) { return f.Folder.Current() }

// Stats implements Place.
func (f Folder) Stats(string) (Usage, error) { return f.Folder.Stats() }

// Blank implements Place.
func (Folder) Blank(string, int64) (Blank, error) { return nil, nil }

// Write implements Place.
func (f Folder) Write(_ string, content mount.Content) (mount.Outcome, error) {
	return f.Folder.Write(content)
}

// Renew implements Place. The files have the directory's group, whatever is asked for.
func (f Folder) Renew(_ string, tokens func(audience string) []byte, mode fs.FileMode, _ int) ([]string, error) {
	return f.Folder.Renew(tokens, mode)
}

// End leaves the files to whoever made the directory.
func (Folder) End(string) (left int64, err error) { return 0, nil }
