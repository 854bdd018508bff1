package wire

import (
	"fmt"
	"slices"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/layout/filename"
)

// A frame that answers is the length of its lines (4 bytes, big-endian), the lines, and the values of
// the entries in them, so that whoever reads it makes strings of the one and none of the other. Lines
// are parts, of which each begins with one of these. One at most is of a volume.
const (
	partTold  byte = 1 + iota // seam.Told
	partOne                   // what a volume is to show: its number, and the answer
	partSame                  // a volume that shows what the one before does: its number
	partEnded                 // Fetch returned and left volumes without an answer: why
	partAlive                 // nothing yet
)

const (
	// mostLines, linesOfEntry and linesOfVolume bound the lines of a frame, besides what its entries are reckoned
	// at. Of a volume it may be told why it has no answer.
	mostLines, linesOfEntry, linesOfVolume = 64 << 10, 2 << 10, 4 << 10
	// mostEntries bounds the entries of "*", of which the request does not say how many there are.
	mostEntries = 100_000
	// writtenLonger is how many times as long a value may be as the source has it: a URI has three
	// characters for each byte of a letter beyond ASCII, and JSON six for one that cannot be seen.
	writtenLonger = 8
	// mostNotices bounds the notices of an answer, and noticesOfEntry those for each of its entries
	// besides: each takes many times the two bytes that it may be said in.
	mostNotices, noticesOfEntry = 1000, 8
)

// told writes how the call ended.
func (w *writer) told(how seam.Told) {
	w.byte(partTold)
	w.uint(uint64(how.Each))
	w.flags(how.Outgrown)
	w.uint(uint64(len(how.Errs)))
	for _, err := range how.Errs {
		w.fault(err)
	}
}

func (r *reader) told(volumes int) (how seam.Told) {
	how.Each = int64(r.uint())
	r.flags(&how.Outgrown)
	if r.count() != volumes {
		r.fail()
		return how
	}
	how.Errs = make([]error, volumes)
	for i := range how.Errs {
		how.Errs[i] = r.fault()
	}
	return how
}

// states are those of entries. Their places in the list are the protocol.
func states() [5]layout.State {
	return [...]layout.State{layout.Delivered, layout.Missing, layout.Denied, layout.Invalid, layout.Unavailable}
}

// answer writes the lines of what a volume is to show.
func (w *writer) answer(answer *seam.Answer) {
	w.at(answer.Fetched)
	w.fault(answer.Err)
	w.fault(answer.Offline)
	w.flags(answer.Refers)
	w.uint(uint64(len(answer.Identities)))
	for _, one := range answer.Identities {
		w.identity(one)
	}
	w.uint(uint64(len(answer.Entries)))
	for i := range answer.Entries {
		w.entry(&answer.Entries[i])
	}
}

func (w *writer) entry(e *seam.Entry) {
	w.flags(e.Kind == layout.Variable, e.Refers, e.TooLarge, e.Source != "", e.JSON != nil, e.Grade != nil)
	known := states()
	w.byte(byte(slices.Index(known[:], e.State))) // that of none is none's
	w.text(e.ID)
	w.text(e.Env)
	w.text(e.Version)
	w.text(e.Rule)
	w.text(e.Identity)
	if e.Grade != nil {
		w.text(e.Grade.State)
		w.text(e.Grade.Reason)
	}
	w.uint(uint64(len(e.Notices)))
	for _, notice := range e.Notices {
		w.text(notice.Code)
		w.text(notice.Message)
	}
	w.uint(uint64(len(e.Value)))
	w.uint(uint64(len(e.JSON)))
}

// answer reads the lines of an answer. The values come out of the memory given, and all of that is
// theirs: nobody else's is there.
func (r *reader) answer(source string, most int, values []byte) (made seam.Answer) {
	made.Fetched, made.Err, made.Offline = r.at(), r.fault(), r.fault()
	r.flags(&made.Refers)
	if made.Identities = r.identities(); r.isBad {
		return made
	}
	count := r.count()
	if count > most {
		r.fail()
		return made
	}
	made.Entries = make([]seam.Entry, count)
	notices := mostNotices + noticesOfEntry*count
	for i := range made.Entries {
		values = r.entry(&made.Entries[i], source, values, &notices)
	}
	if len(values) > 0 {
		r.fail()
	}
	return made
}

// entry reads the lines of an entry, of whose notices there may be so many more.
func (r *reader) entry(e *seam.Entry, source string, values []byte, mostNotices *int) (left []byte) {
	var isVariable, hasSource, hasJSON, hasGrade bool
	r.flags(&isVariable, &e.Refers, &e.TooLarge, &hasSource, &hasJSON, &hasGrade)
	known, dir := states(), layout.ConnectionsDir
	if e.Kind = layout.Connection; isVariable {
		e.Kind, dir = layout.Variable, layout.VariablesDir
	}
	if hasSource {
		e.Source = source
	}
	state := int(r.byte())
	if state >= len(known) {
		r.fail()
		return nil
	}
	e.State = known[state%len(known)]
	e.ID, e.Env, e.Version, e.Rule, e.Identity = r.text(), r.text(), r.text(), r.text(), r.text()
	if hasGrade {
		e.Grade = &layout.Grade{State: r.text(), Reason: r.text()}
	}
	notices := r.count()
	if *mostNotices -= notices; *mostNotices < 0 {
		r.fail()
		return nil
	}
	if notices > 0 {
		e.Notices = make([]layout.Notice, notices)
		for i := range e.Notices {
			e.Notices[i] = layout.Notice{Code: r.text(), Message: r.text()}
		}
	}
	value, asJSON := r.uint(), r.uint()
	if r.isBad || value > uint64(len(values)) || asJSON > uint64(len(values))-value {
		r.fail()
		return nil
	}
	if e.State == layout.Delivered {
		e.File = dir + "/" + filename.Of(e.ID) // which follows from the name
		e.Value = values[:value:value]
	} else if value > 0 || hasJSON {
		r.fail()
	}
	if hasJSON {
		e.JSON = values[value : value+asJSON : value+asJSON]
	} else if asJSON > 0 {
		r.fail()
	}
	return values[value+asJSON:]
}

// mostOf is what a frame of the work's answer may have, before it is known how much a volume takes: about what
// is reckoned for one of them.
func mostOf(work seam.Work) int64 { return mostLinesOf(work) + writtenLonger*work.MaxBytes }

// mostOfEach is the same where it is known: so much of the memory is kept, and the rest is given back. A value
// that is written as long as can be, as a URI and as JSON, is reckoned with here.
func mostOfEach(work seam.Work, each int64) int64 {
	return min(mostOf(work), mostLinesOf(work)+(3+6)*min(each, work.MaxBytes))
}

func mostLinesOf(work seam.Work) int64 {
	return mostLines + linesOfEntry*int64(namesOf(work)) + linesOfVolume*int64(len(work.Volumes))
}

func namesOf(work seam.Work) int { return len(work.Connections.Names) + len(work.Variables.Names) }

// mostEntriesOf is how many entries an answer to the work may have.
func mostEntriesOf(work seam.Work) int {
	if work.Connections.All || work.Variables.All {
		return mostEntries
	}
	return namesOf(work)
}

// checkAnswer holds an answer against what was asked: nothing that nobody asked for, nothing twice, no
// variable of another name, no value in the file for Airflow that reaches beyond its own place, and beside
// an error only what was taken away.
func (a asked) checkAnswer(answer *seam.Answer) error {
	seen := make(map[layout.Name]bool, len(answer.Entries))
	variables := make(map[string]bool, len(answer.Entries))
	for i := range answer.Entries {
		e := &answer.Entries[i]
		name := e.Name()
		isDelivered := e.State == layout.Delivered
		switch {
		case !a.names[name] && !a.all[name.Kind]:
			return fmt.Errorf("%w: %s was not asked for", errLied, shorten(name.String()))
		case seen[name]:
			return fmt.Errorf("%w: %s is there twice", errLied, shorten(name.String()))
		case answer.Err != nil && e.State != layout.Denied && e.State != layout.Missing:
			return fmt.Errorf("%w: %s is %s beside an error", errLied, shorten(name.String()), e.State)
		case isDelivered && (!isEnvOf(e.Env, name) || variables[e.Env]):
			return fmt.Errorf("%w: %s would be the variable %s", errLied, shorten(name.String()), shorten(e.Env))
		case e.JSON != nil && !jsontext.Valid(e.JSON): // it goes into a file beside others'
			return fmt.Errorf("%w: %s would not be JSON in the file for Airflow", errLied, shorten(name.String()))
		case !isDelivered && e.Env != "":
			return fmt.Errorf("%w: %s is %s and has a variable", errLied, shorten(name.String()), e.State)
		}
		seen[name] = true
		if isDelivered {
			variables[e.Env] = true
		}
	}
	return checkIdentities(answer)
}
