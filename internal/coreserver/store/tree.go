package store

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// tree is the files of a folder by owner, each with what was last read from it in good order.
type tree[T any] struct {
	folder folder
	// begin makes the file of one that was found.
	begin func(found) *file[T]
	// teamOf says whose an owner's files are, and why they are nobody's.
	teamOf func(owner string) (team string, err error)
	// move makes what was last read of a file another team's.
	move func(value T, team string) T
	// drops tells whether what a file said ends with the file. Where not, it stays in force as
	// long as nothing took its place.
	drops bool

	about    Status // of the folder itself
	files    map[string]*slot[T]
	unlisted map[string]error
	strays   map[string]*Status // what is nobody's or could not be listed, by path or owner
	folders  []string
	hasRoom  bool // the last look found that something takes less than before
}

type slot[T any] struct {
	found
	*file[T]
}

// look reads everything again. A folder that cannot be read, or has lost what it must have,
// changes nothing.
func (t *tree[T]) look(now time.Time, must func(listing) error) (changed bool) {
	t.hasRoom = false
	list, err := t.folder.list()
	if err == nil && must != nil {
		err = must(list)
	}
	if err != nil {
		t.about.blame(now, err)
		return false
	}
	t.about.mend(now)
	t.folders, t.unlisted = list.folders, list.unlisted
	standing, changed := t.sort(now, list)
	for _, each := range t.ownersLast() {
		if standing[each.path] {
			before := each.weight
			changed = each.look(now) || changed
			t.hasRoom = t.hasRoom || each.weight.isLess(before)
		}
	}
	for _, each := range t.sorted() {
		if !standing[each.path] {
			isGone, isMoved := t.lose(now, each)
			t.hasRoom, changed = t.hasRoom || isGone, changed || isGone || isMoved
		}
	}
	return t.hasRoom && t.lookAtCrowded(now) || changed
}

// lookAtCrowded reads the files again that there was no room for.
func (t *tree[T]) lookAtCrowded(now time.Time) (changed bool) {
	for _, each := range t.ownersLast() {
		if each.crowded {
			each.again()
			changed = each.look(now) || changed
		}
	}
	return changed
}

// weightOf is what the files of a team take together; nothing where t is nil.
func (t *tree[T]) weightOf(team string) (sum weight) {
	if t == nil {
		return sum
	}
	for _, each := range t.files {
		if each.about.Team == team {
			sum = sum.plus(each.weight)
		}
	}
	return sum
}

// sort makes a slot for each file that is somebody's, and tells which stand there now, and whether one is
// another team's than before.
func (t *tree[T]) sort(now time.Time, list listing) (standing map[string]bool, moved bool) {
	standing = make(map[string]bool, len(list.files))
	strays := maps.Clone(list.strays)
	maps.Copy(strays, list.unlisted)
	for _, one := range list.files {
		team, err := t.teamOf(one.owner)
		if err != nil {
			strays[one.path] = fmt.Errorf("%s: %w", path.Join(t.folder.path, one.path), err)
			continue
		}
		standing[one.path] = true
		if _, known := t.files[one.path]; !known {
			t.files[one.path] = &slot[T]{one, t.begin(one)}
		}
		moved = t.follow(t.files[one.path], team) || moved
	}
	t.note(now, strays)
	return standing, moved
}

// follow makes the file the team's that the admin's file gives it to, with what was last read of it: while
// it cannot be read that stays in force, and whoever had it before has it no longer.
func (t *tree[T]) follow(each *slot[T], team string) (moved bool) {
	if each.about.Team == team {
		return false
	}
	each.about.Team = team
	each.again()
	if each.known && t.move != nil {
		each.value = t.move(each.value, team)
	}
	return each.known
}

// unread says of each team without a file that was ever read in good order, and of each that
// has one which never was, what is wrong with it.
func (t *tree[T]) unread() map[string]string {
	why := map[string]string{}
	for owner, err := range t.unlisted {
		if team, mistaken := t.teamOf(owner); mistaken == nil && !t.knows(owner) {
			why[team] = err.Error()
		}
	}
	for _, each := range t.sorted() {
		if !each.known {
			why[each.about.Team] = each.about.Fault
		}
	}
	return why
}

func (t *tree[T]) knows(owner string) bool {
	for _, each := range t.files {
		if each.owner == owner && each.known {
			return true
		}
	}
	return false
}

func (t *tree[T]) note(now time.Time, strays map[string]error) {
	maps.DeleteFunc(t.strays, func(below string, _ *Status) bool { return strays[below] == nil })
	for below, err := range strays {
		if t.strays[below] == nil {
			owner, _, _ := strings.Cut(below, "/")
			team, _ := t.teamOf(owner)
			t.strays[below] = &Status{File: path.Join(t.folder.path, below), Team: team}
		}
		t.strays[below].blame(now, err)
	}
}

// lose is about a file that no longer stands there.
func (t *tree[T]) lose(now time.Time, gone *slot[T]) (isGone, isMoved bool) {
	if team, err := t.teamOf(gone.owner); err == nil && (t.unlisted[gone.owner] != nil || !t.drops && !t.replaced(gone)) {
		gone.about.blame(now, fmt.Errorf("%s: is gone; what it held stays in force. To take it away, name it under deny in the rules", gone.about.File))
		gone.again()
		return false, t.follow(gone, team)
	}
	delete(t.files, gone.path)
	return gone.known, false
}

// replaced tells whether another file of the owner is for the same and can be read.
func (t *tree[T]) replaced(gone *slot[T]) bool {
	for _, other := range t.files {
		if other.path != gone.path && other.owner == gone.owner && other.kind == gone.kind && other.known && other.about.Fault == "" {
			return true
		}
	}
	return false
}

// again has every file read as if it had changed.
func (t *tree[T]) again() {
	for _, each := range t.files {
		each.again()
	}
}

// sorted are the files in the order of their paths.
func (t *tree[T]) sorted() []*slot[T] {
	return slices.SortedFunc(maps.Values(t.files), func(a, b *slot[T]) int { return strings.Compare(a.path, b.path) })
}

// ownersLast are the files as they are read: those of what belongs to all first, whose room no team's is.
func (t *tree[T]) ownersLast() []*slot[T] {
	return slices.SortedStableFunc(slices.Values(t.sorted()), func(a, b *slot[T]) int {
		return cmp.Compare(min(len(a.owner), 1), min(len(b.owner), 1))
	})
}

func (t *tree[T]) status() []*Status {
	all := []*Status{&t.about}
	for _, each := range t.sorted() {
		all = append(all, &each.about)
	}
	for _, below := range slices.Sorted(maps.Keys(t.strays)) {
		all = append(all, t.strays[below])
	}
	return all
}
