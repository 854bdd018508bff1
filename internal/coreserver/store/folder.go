package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Bounds of a folder, so that nobody who may write there makes each look dear.
const (
	maxOwners = 1 << 13 // names in the folder itself
	maxFiles  = 1 << 6  // in the folder of one owner
	maxLinks  = 8
)

// Kinds of files.
const (
	kindConnections = "connections"
	kindVariables   = "variables"
	kindRules       = "rules"
)

// found is a file in a folder of files by owner.
type found struct {
	path  string // below the folder
	owner string // a team's, a source's, or rule.Admin; empty for what belongs to all
	kind  string
}

// folder holds a file or a folder for each owner. Nothing in the folder of one leads into
// another's: links are followed only where they stay within it, as those of a mounted Secret
// do, and only to what is called the same.
type folder struct {
	path string
	// suffixes are those of the files that are read; whatever else is there, such as a README,
	// is nobody's business.
	suffixes []string
	// own is the file of the folder itself, which is no owner's.
	own string
	// kindOf tells what a file is for, by its name within the folder of its owner; empty for
	// what is none of ours.
	kindOf func(name string) string
	// ownerOf takes a name in the folder itself apart.
	ownerOf func(name string) (owner, kind string)
}

func entriesFolder(where string) folder {
	return folder{path: where, suffixes: entrySuffixes(), kindOf: entriesKind, ownerOf: func(name string) (owner, kind string) {
		kind = entriesKind(name)
		stem := strings.TrimSuffix(name, path.Ext(name))
		return strings.TrimSuffix(strings.TrimSuffix(stem, kind), "."), kind
	}}
}

func rulesFolder(where string) folder {
	return folder{path: where, suffixes: []string{".yaml", ".yml"}, own: adminFile, kindOf: rulesKind, ownerOf: func(name string) (owner, kind string) {
		return strings.TrimSuffix(name, path.Ext(name)), rulesKind(name)
	}}
}

func entrySuffixes() []string { return []string{".json", ".yaml", ".yml", ".env"} }

// entriesKind is the last word of a name before its suffix: "connections.json",
// "payments.variables.yaml".
func entriesKind(name string) string {
	suffix := path.Ext(name)
	stem := strings.TrimSuffix(name, suffix)
	switch stem[strings.LastIndexByte(stem, '.')+1:] {
	case kindConnections:
		return kindConnections
	case kindVariables:
		return kindVariables
	default:
		return ""
	}
}

func rulesKind(string) string { return kindRules }

// listing is what stands in a folder.
type listing struct {
	files []found
	// folders are those to be watched, as paths.
	folders []string
	// hasOwn tells whether the folder's own file is there.
	hasOwn bool
	// strays are what is none of ours, by its path below the folder. unlisted says of owners
	// why what is theirs could not be listed.
	strays, unlisted map[string]error
}

// list fails where the folder itself cannot be read.
func (f folder) list() (listing, error) {
	l := listing{folders: []string{f.path}, strays: map[string]error{}, unlisted: map[string]error{}}
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return listing{}, fmt.Errorf("reading folder: %w", err)
	}
	defer func() { _ = root.Close() }()
	names, err := namesIn(root, maxOwners)
	if err != nil {
		return listing{}, fmt.Errorf("%s: %w", f.path, err)
	}
	for _, name := range names {
		info, err := root.Stat(name)
		switch {
		case !isPrintable(name):
			f.unprintable(&l, name)
		case name == f.own:
			l.hasOwn = true
		case err != nil:
			owner, _ := f.ownerOf(name)
			l.unlisted[owner] = fmt.Errorf("%s: %w", path.Join(f.path, name), err)
		case info.IsDir():
			f.listOwner(root, name, &l)
		default:
			owner, kind := f.ownerOf(name)
			f.add(&l, found{name, owner, kind})
		}
	}
	return l, nil
}

// unprintable leaves out a file or a folder whose name would spoil a metric's label, or a terminal.
func (f folder) unprintable(l *listing, below string) {
	shown := path.Join(path.Dir(below), strconv.Quote(path.Base(below)))
	l.strays[shown] = fmt.Errorf("%s: is not read, since its name holds what cannot be printed", path.Join(f.path, shown))
}

func isPrintable(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(char rune) bool { return !strconv.IsPrint(char) })
}

func (f folder) add(l *listing, one found) {
	switch {
	case !slices.Contains(f.suffixes, path.Ext(one.path)):
	case !isPrintable(one.path):
		f.unprintable(l, one.path)
	case one.kind == "":
		l.strays[one.path] = fmt.Errorf("%s: is none of the names that are read here, which end in connections or variables and the suffix", path.Join(f.path, one.path))
	default:
		l.files = append(l.files, one)
	}
}

func (f folder) listOwner(root *os.Root, owner string, l *listing) {
	l.folders = append(l.folders, path.Join(f.path, owner))
	names, err := func() ([]string, error) {
		own, err := openOwner(root, owner)
		if err != nil {
			return nil, err
		}
		defer func() { _ = own.Close() }()
		return namesIn(own, maxFiles)
	}()
	if err != nil {
		l.unlisted[owner] = fmt.Errorf("%s: %w", path.Join(f.path, owner), err)
		return
	}
	for _, name := range names {
		f.add(l, found{path.Join(owner, name), owner, f.kindOf(name)})
	}
}

// namesIn leaves out what begins with a dot, as the links and folders do by which
// Kubernetes swaps a mounted Secret.
func namesIn(root *os.Root, most int) ([]string, error) {
	directory, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = directory.Close() }()
	names, err := directory.Readdirnames(most + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) > most {
		return nil, fmt.Errorf("holds more than %d files", most)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, ".") })
	slices.Sort(names)
	return names, nil
}

var errElsewhere = errors.New("is a link to what is called otherwise, and may be another's")

// openOwner opens the folder of an owner, so that nothing outside it can be reached.
func openOwner(root *os.Root, owner string) (*os.Root, error) {
	where, err := resolve(root, owner)
	if err != nil {
		return nil, err
	}
	return root.OpenRoot(where)
}

// resolve follows links in the place of name as long as they lead to what has that name.
func resolve(root *os.Root, name string) (string, error) {
	where := name
	for range maxLinks {
		info, err := root.Lstat(where)
		if err != nil {
			return "", err
		}
		if info.Mode()&os.ModeSymlink == 0 {
			return where, nil
		}
		target, err := root.Readlink(where)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) || path.Base(target) != name {
			return "", errElsewhere
		}
		where = path.Join(path.Dir(where), target)
	}
	return "", errElsewhere
}

// opener opens a file below the folder. It waits for nobody, as opening a FIFO would.
func (f folder) opener(below string) func() (*os.File, error) {
	return func() (*os.File, error) {
		root, err := os.OpenRoot(f.path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = root.Close() }()
		owner, name := path.Split(below)
		if owner == "" {
			where, err := resolve(root, name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path.Join(f.path, below), err)
			}
			return root.OpenFile(where, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		}
		own, err := openOwner(root, path.Clean(owner))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(f.path, below), err)
		}
		defer func() { _ = own.Close() }()
		return own.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
}
