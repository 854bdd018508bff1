package store

import (
	"bytes"
	"fmt"
	"path"
	"strings"
)

// room is what entries may take of the memory that core may have, 0 where nobody knows that. What is too
// large for core would kill it, at each start again.
//
// Those that are for all, which are the admin's own, and those of teams share it: half is always there
// for the former, so that no team keeps the admin from changing what is for all, and teams have no more
// than the other half.
type room struct{ memory int64 }

// What was measured at 128 MiB, by a file that is replaced again and again while callers take all that
// they may: reading takes most.
const (
	partOfBytes   = 128.0 / 5        // of the memory is a file's at most: 5 MiB
	partOfCost    = 128.0 / 16       // is what they are reckoned to take together: 16 MiB
	bytesOfEntry  = 5 << 10          // are there for each entry of a file: 26,214
	bytesOfValue  = 640              // and for each value in an entry of JSON: 209,715
	bytesOfInYAML = 2 * bytesOfValue // or of YAML, whose reader keeps more of it
	partsOfTeams  = 6                // of what teams may have, one team may have one
)

// limit is how long a file may be.
func (r room) limit(most int64) int64 {
	if r.memory == 0 {
		return most
	}
	return min(most, int64(float64(r.memory)/partOfBytes))
}

// fits fails for what would take too much to read.
func (r room) fits(name string, content []byte) error {
	if r.memory == 0 {
		return nil
	}
	entries, values, each := countLines(content), countYAML(content), int64(bytesOfInYAML)
	if trimmed := bytes.TrimSpace(content); strings.EqualFold(path.Ext(name), ".json") || bytes.HasPrefix(trimmed, []byte("{")) {
		entries, values = countJSON(content)
		each = bytesOfValue
	}
	switch {
	case int64(entries) > r.memory/bytesOfEntry:
		return fmt.Errorf("%s: has more than %d entries, which is what core has room for with %s%s", name, r.memory/bytesOfEntry, r, wants(float64(entries)*bytesOfEntry))
	case int64(values) > r.memory/each:
		return fmt.Errorf("%s: has more than %d fields and values, which is what core has room for with %s%s", name, r.memory/each, r, wants(float64(values)*float64(each)))
	default:
		return nil
	}
}

// most is what all entries may take together.
func (r room) most() int64 { return int64(float64(r.memory) / partOfCost) }

// mostOfTeam is what one team may take: a sixth of what all may, so that a few keep nobody else out.
func (r room) mostOfTeam() int {
	if r.memory == 0 {
		return maxTeam
	}
	return min(maxTeam, int(r.most()/2/partsOfTeams))
}

// teamWants is what to do about a team that has more; empty where no memory helps.
func (r room) teamWants(own weight) string {
	if own.cost() > maxTeam {
		return ""
	}
	return wants(partOfCost * 2 * partsOfTeams * float64(own.cost()))
}

// admits fails where what is for all would take too much beside what teams have.
func (r room) admits(forAll, teams weight) error {
	most := max(r.most()/2, r.most()-int64(teams.cost()))
	if r.memory == 0 || int64(forAll.cost()) <= most {
		return nil
	}
	return fmt.Errorf("its entries, with the others that are for all, take more than the %d KiB that core has for them beside those of teams, with %s; an entry counts for %d bytes besides its own%s",
		most>>10, r, entryCost, wants(partOfCost*float64(forAll.cost()+min(forAll.cost(), teams.cost()))))
}

// admitsTeams fails where what teams have would take too much beside what is for all.
func (r room) admitsTeams(teams, forAll weight) error {
	most := max(0, min(r.most()/2, r.most()-int64(forAll.cost())))
	if r.memory == 0 || int64(teams.cost()) <= most {
		return nil
	}
	return fmt.Errorf("the entries of all teams take more than the %d KiB that core has for them beside those that are for all, with %s; an entry counts for %d bytes besides its own%s",
		most>>10, r, entryCost, wants(partOfCost*float64(teams.cost()+max(teams.cost(), forAll.cost()))))
}

// wants is what to do about what would fit into so many bytes of memory.
func wants(memory float64) string {
	const step = 16 << 20
	return fmt.Sprintf("; raise the memory limit of core's container to %d MiB or more", (int64(memory)/step+1)*step>>20)
}

func (r room) String() string { return fmt.Sprintf("%d MiB of memory", r.memory>>20) }

// countJSON counts the entries of an object, and what they consist of.
func countJSON(content []byte) (entries, values int) {
	depth, inText := 0, false
	for i := 0; i < len(content); i++ {
		switch char := content[i]; {
		case inText && char == '\\':
			i++
		case char == '"':
			inText = !inText
		case inText:
		case char == '{' || char == '[':
			depth++
			values++
		case char == '}' || char == ']':
			depth--
		case char == ',':
			values++
			if depth == 1 {
				entries++
			}
		}
	}
	return entries + 1, values
}

// countLines counts those that may begin an entry, of YAML or .env.
func countLines(content []byte) (entries int) {
	for line := range bytes.Lines(content) {
		if !bytes.ContainsAny(line[:1], " \t\r\n#-") {
			entries++
		}
	}
	return entries
}

// countYAML counts what may begin a value.
func countYAML(content []byte) (values int) {
	for i, char := range content {
		switch char {
		case '\n', ',', '[', '{':
			values++
		case '-':
			if i+1 < len(content) && content[i+1] == ' ' {
				values++
			}
		}
	}
	return values
}
