package mount

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// pageSize is the unit in which a tmpfs spends memory on a file's content.
var pageSize = int64(os.Getpagesize())

// Footprint is the memory that files take on a tmpfs, in bytes: whole pages for each.
// Directories and links take none.
func Footprint(files []File) int64 {
	var pages int64
	for _, file := range files {
		pages += pagesOf(int64(len(file.Data)))
	}
	return pages * pageSize
}

// inodeBytes is what the kernel takes for an inode and its name besides, which no file system
// counts: about 900 bytes.
const inodeBytes = 1 << 10

// memoryOf is the memory that a volume takes with so many files of so many bytes.
func memoryOf(bytes int64, files int) int64 {
	others := len(layout.ValueDirs()) + 2 + len(layout.ValueDirs()) + 2 // directories; links
	return bytes + int64(files+others)*inodeBytes
}

// Memory is the memory that the volume takes, in bytes, with that of the kernel's for inodes.
func (u Usage) Memory() int64 { return u.Bytes.Used + u.Inodes.Used*inodeBytes }

func (v volume) memory() (int64, error) {
	usage, err := v.usage()
	return usage.Memory(), err
}

// reserve has the caller's Room grant the memory that the plan takes. Of a volume that need not
// grow, what there is no memory for is held. What the plan takes is made out exactly where more
// than it takes is not granted.
func (v volume) reserve(p *plan, content Content, stands *standing) (held bool, err error) {
	if content.Room == nil {
		return false, nil
	}
	now, err := v.memory()
	if err != nil {
		return false, err
	}
	most := memoryOf(p.mostBytes(), len(p.lines)+3+p.identityInodes())
	if granted, err := content.Room(most, now); err == nil && granted >= most {
		return false, nil
	}
	files, err := p.all(content)
	if err != nil {
		return false, err
	}
	need := memoryOf(Footprint(files), len(files)+p.identityInodes())
	granted, err := content.Room(need, now)
	if err != nil || granted >= need {
		return false, err
	}
	content.Cap, content.short = max(1, Footprint(files)-(need-granted)), true
	return v.fit(p, content, stands)
}

func pagesOf(bytes int64) int64 { return (bytes + pageSize - 1) / pageSize }

// inodesOf is how many inodes a cap of so many bytes goes with. A page each is enough: a
// file that is not empty has one.
func inodesOf(bytes int64) int64 {
	const spare = 64 // directories, links, empty files
	return bytes/pageSize + spare
}

// fit makes the plan fit under the content's cap, and reports whether it had to be changed
// for that. Entries that stood in the volume before are held at what they were, the one
// that grew most first, and new ones are refused; nothing that leaves has to wait for
// room. A volume that shows nothing yet has to fit, but for its optional entries.
func (v volume) fit(p *plan, content Content, stands *standing) (held bool, err error) {
	if !content.short && (content.Cap == 0 || p.mostBytes() <= content.Cap) {
		return false, nil
	}
	usage, err := v.usage()
	if err != nil {
		return false, err
	}
	for {
		files, err := p.all(content)
		if err != nil {
			return held, err
		}
		bytes, inodes := Footprint(files), int64(len(files)+len(layout.ValueDirs())+1)
		excess := max(bytes-max(content.Cap, usage.Bytes.Used), (inodes-max(inodesOf(content.Cap), usage.Inodes.Used))*pageSize)
		switch {
		case excess <= 0:
			return held, nil
		case p.shrink(excess, content, stands):
		case stands.files == nil:
			return held, fmt.Errorf("%w: %d files need %d bytes, and %d is the cap: ask for fewer entries or give volumes more room",
				ErrFull, len(files), bytes, content.Cap)
		default:
			return held, nil // it has not grown
		}
		held = true
	}
}

// mostBytes is more than the plan takes, and quickly reckoned: JSON writes a byte as six at
// most, and an entry has a dozen of names besides. A file takes an inode, of which there is
// one for each page.
func (p plan) mostBytes() int64 {
	const names = 512
	total := 3*pageSize + names
	for _, l := range p.lines {
		text := len(l.ID) + len(l.Env) + len(l.File) + len(l.Version) + len(l.Source) + len(l.Rule)
		for _, notice := range l.Notices {
			text += len(notice.Code) + len(notice.Message) + names
		}
		if l.Grade != nil {
			text += len(l.Grade.State) + len(l.Grade.Reason)
		}
		if l.Held != nil {
			text += len(l.Held.Why)
		}
		total += l.size() + int64(6*(text+len(l.ID))+names)
	}
	for _, one := range p.identities() {
		for _, file := range one.files() {
			total += pagesOf(int64(len(file.Data))) * pageSize
		}
		for _, v := range one.Variables {
			total += int64(6*(len(v.Value)+len(v.File)) + names)
		}
		total += int64(6*len(one.Audience) + names)
	}
	return total
}

// all are the plan's files and its manifest, whose number does not matter.
func (p plan) all(content Content) ([]File, error) {
	p.describe(&content.Manifest)
	manifest, err := encode(content.Manifest, 1)
	return append(p.files(), File{Path: layout.ManifestFile, Data: manifest}), err
}

// shrink undoes changes that take at least excess bytes; false if no entry has grown, and of a new
// volume if it cannot do without any.
func (p *plan) shrink(excess int64, content Content, stands *standing) bool {
	type growth struct {
		at    int
		bytes int64
	}
	var grown []growth
	for i, l := range p.lines {
		if l.State != layout.Delivered || l.carried || stands.files == nil && !l.optional {
			continue
		}
		before, _ := stands.line(l.Name())
		if more := l.size() - before.size(); more > 0 {
			grown = append(grown, growth{i, more})
		}
	}
	slices.SortFunc(grown, func(a, b growth) int { return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.at, b.at)) })
	for _, one := range grown {
		if excess <= 0 {
			break
		}
		excess -= one.bytes
		p.lines[one.at] = tooLarge(p.lines[one.at], content, stands)
	}
	return len(grown) > 0
}

// size is what the line takes, but for its part in the manifest. A file takes an inode
// though it is empty.
func (l line) size() int64 {
	if l.State != layout.Delivered {
		return 0
	}
	return max(1, pagesOf(int64(len(l.value))))*pageSize + int64(len(l.json))
}

// tooLarge is what becomes of a line that there is no room for.
func tooLarge(l line, content Content, stands *standing) line {
	why := fmt.Sprintf("its %d bytes do not fit: %d is the cap of all files of the volume; ask for fewer entries or give volumes more room",
		len(l.value), content.Cap)
	if content.short {
		why = fmt.Sprintf("its %d bytes do not fit: the driver of this node has no memory left for a larger volume", len(l.value))
	}
	if before, there := stands.line(l.Name()); there && before.State == layout.Delivered {
		return before.hold(content.Manifest.Fetched, why)
	}
	return line{carried: true, Entry: layout.Entry{
		Kind: l.Kind, ID: l.ID, State: layout.Invalid, Required: l.Required, Notices: []layout.Notice{{Code: string(layout.Invalid), Message: why}},
	}}
}

// full puts figures to the system's "no space left", which it also says when the
// kernel's own memory is short. Other errors stay as they are.
func (v volume) full(err error, files []File) error {
	if !errors.Is(err, unix.ENOSPC) {
		return err
	}
	if v.isGuest {
		return fmt.Errorf("%w: %d files need %d bytes beside those that they replace, and the file system has no more", ErrFull, len(files), Footprint(files))
	}
	usage, measuring := v.usage()
	return errors.Join(usage.full(files), measuring)
}

func (u Usage) full(files []File) error {
	return fmt.Errorf("%w: %d files need %d bytes beside the %d in use, and %d is all there is (inodes: %d of %d in use): the node's memory may be short",
		ErrFull, len(files), Footprint(files), u.Bytes.Used, u.Bytes.Total, u.Inodes.Used, u.Inodes.Total)
}
