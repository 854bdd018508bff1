package store

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// settling is how long a file that was written in place, and has less in it than before, must
// stay as it is to be believed: half of a .env or of a YAML file reads as a whole one.
const settling = time.Second

// file is one file and what was last read from it in good order. Whatever is wrong with what
// it holds now leaves the value as it was.
type file[T any] struct {
	about   Status
	open    func() (*os.File, error)
	parse   func(name string, content []byte) (T, error)
	weigh   func(value T, size int) weight
	limit   int64
	tooLong string // what to do about a file that is longer; may be empty
	// fits fails for a content that would take too much to read; nil where none would.
	fits    func(name string, content []byte) error
	loses   bool // an empty file is an error: it holds entries
	nothing bool // unless this is set and it had none before

	value  T
	known  bool   // value was read from the file, and is not just the zero value
	weight weight // of value
	// admit says whether there is room for another weight in the place of the present one.
	admit   func(before, after weight) error
	crowded bool // there was none

	seen  [sha256.Size]byte // of the content last tried, good or bad
	tried bool
	info  fs.FileInfo // of the content that value was read from
	doubt doubt
}

// weight is what a value takes. Rules are weighed by their patterns, too, of which those under deny are
// denied.
type weight struct{ bytes, entries, patterns, denied int }

func (w weight) isLess(than weight) bool {
	return w.cost() < than.cost() || w.patterns < than.patterns || w.denied < than.denied
}

func (w weight) plus(other weight) weight {
	return weight{w.bytes + other.bytes, w.entries + other.entries, w.patterns + other.patterns, w.denied + other.denied}
}

func (w weight) minus(other weight) weight {
	return weight{w.bytes - other.bytes, w.entries - other.entries, w.patterns - other.patterns, w.denied - other.denied}
}

func (w weight) cost() int { return w.bytes + w.entries*entryCost }

// entryCost is about what an entry takes in memory besides its bytes.
const entryCost = 512

// doubt is a content that may be half of what is being written.
type doubt struct {
	content [sha256.Size]byte
	since   time.Time
}

// look reads the file again, and tells whether value is new.
func (f *file[T]) look(now time.Time) (changed bool) {
	content, info, err := f.read()
	if err != nil {
		f.again()
		f.about.blame(now, err)
		return false
	}
	sum := sha256.Sum256(content)
	if f.tried && sum == f.seen && f.doubt.since.IsZero() {
		return false
	}
	f.crowded = false
	value, err := f.take(content)
	if err == nil && f.isTorn(now, content, sum, info, value) {
		return false
	}
	f.seen, f.tried, f.doubt = sum, true, doubt{}
	if err != nil {
		f.about.blame(now, err)
		return false
	}
	f.value, f.known, f.info, f.weight = value, true, info, f.weigh(value, len(content))
	f.about.Entries = f.weight.entries
	f.about.mend(now)
	return true
}

// again has the file read as if it had changed.
func (f *file[T]) again() { f.tried, f.doubt = false, doubt{} }

// isUnsettled tells a file that is to be read again soon.
func (f *file[T]) isUnsettled() bool { return !f.doubt.since.IsZero() }

func (f *file[T]) read() ([]byte, fs.FileInfo, error) {
	opened, err := f.open()
	if err != nil {
		return nil, nil, fmt.Errorf("reading file: %w", err)
	}
	defer func() { _ = opened.Close() }()
	info, err := opened.Stat()
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("reading file: %w", err)
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s: is no regular file", f.about.File)
	}
	content := bytes.NewBuffer(make([]byte, 0, min(info.Size(), f.limit)+bytes.MinRead))
	if _, err = content.ReadFrom(io.LimitReader(opened, f.limit+1)); err != nil {
		return nil, nil, fmt.Errorf("reading file: %w", err)
	}
	if int64(content.Len()) > f.limit {
		return nil, nil, fmt.Errorf("%s: is larger than %d KiB%s", f.about.File, f.limit>>10, f.tooLong)
	}
	return content.Bytes(), info, nil
}

// take parses what the file holds, and refuses what would lose everything or takes too much.
func (f *file[T]) take(content []byte) (T, error) {
	var none T
	mayBeEmpty := !f.loses || f.nothing && f.weight.entries == 0
	if f.loses && mayBeEmpty && len(bytes.TrimSpace(content)) == 0 {
		return none, nil
	}
	if f.fits != nil {
		if err := f.fits(f.about.File, content); err != nil {
			return none, err
		}
	}
	value, err := f.parse(f.about.File, content)
	if err != nil {
		return none, err
	}
	weighed := f.weigh(value, len(content))
	switch {
	case weighed.entries > 0 || mayBeEmpty:
	case f.weight.entries > 0:
		return none, fmt.Errorf("%s: has no entries, and had %d; they stay in force. To take them away, name them under deny in the rules", f.about.File, f.weight.entries)
	default:
		return none, fmt.Errorf("%s: has no entries; where that is meant, give --allow-empty", f.about.File)
	}
	if f.admit != nil {
		if err := f.admit(f.weight, weighed); err != nil {
			f.crowded = true
			return none, fmt.Errorf("%s: %w", f.about.File, err)
		}
	}
	return value, nil
}

// isTorn tells a content that may be half written, until it has stayed as it is for long
// enough. A file that was replaced by rename is whole, and so is JSON that can be read.
func (f *file[T]) isTorn(now time.Time, content []byte, sum [sha256.Size]byte, info fs.FileInfo, value T) bool {
	inPlace := f.known && f.info != nil && os.SameFile(f.info, info)
	isJSON := strings.EqualFold(path.Ext(f.about.File), ".json")
	isLess := f.weigh(value, len(content)).entries < f.weight.entries || isEnv(f.about.File) && !bytes.HasSuffix(content, []byte("\n"))
	if !f.loses || !inPlace || isJSON || !isLess {
		return false
	}
	if f.doubt.content != sum || f.doubt.since.IsZero() {
		f.doubt = doubt{sum, now}
	}
	return now.Sub(f.doubt.since) < settling
}

// maxParts bounds a team's file: reading one value takes some hundred bytes for a moment, however short
// it is.
const maxParts = 1 << 16

func fitsTeam(name string, content []byte) error {
	if partsOf(content) > maxParts {
		return fmt.Errorf("%s: has more than %d values; use fewer, or several files", name, maxParts)
	}
	return nil
}

// partsOf counts what may begin another value, in JSON or in YAML.
func partsOf(content []byte) (count int) {
	for _, char := range content {
		switch char {
		case ',', ':', '-', '[', '{', '\n':
			count++
		}
	}
	return count
}

func isEnv(name string) bool { return strings.EqualFold(path.Ext(name), ".env") }
