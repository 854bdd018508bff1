package main

import (
	"strings"
	"time"
)

const (
	columns = 100 // after which a line is continued below
	screen  = 27  // rows that are seen at once

	// A program is faster than a reader: each chapter waits until the one before was read.
	// Within a chapter lines appear as they were printed.
	chapter  = "▸"
	readRow  = 450 * time.Millisecond
	readMore = 400 * time.Millisecond
	hold     = 9 * time.Second // the end, before it all begins again
)

// row is a row of the terminal.
type row struct {
	text  string
	title bool          // of a chapter
	first bool          // of those that one line takes
	real  time.Duration // when it was printed
	shown time.Duration // when it is played
}

// film is all rows, in order, and how long they take.
type film struct {
	rows  []row
	lasts time.Duration
}

func play(lines []line) film {
	var f film
	unread := 0
	for i, l := range lines {
		title := strings.HasPrefix(l.text, chapter)
		if i > 0 {
			f.lasts += l.at - lines[i-1].at
		}
		if title && unread > 0 {
			f.lasts += readMore + time.Duration(unread)*readRow
			unread = 0
		}
		for n, part := range wrap(l.text) {
			f.rows = append(f.rows, row{part, title, n == 0, l.at, f.lasts})
			if part != "" {
				unread++
			}
		}
	}
	f.lasts += hold
	return f
}

// wrap continues a line that is too long below, indented as it is, and breaks it where a
// reader would, if there is such a place.
func wrap(text string) []string {
	words := strings.TrimLeft(text, " ")
	indent := strings.Repeat(" ", len(text)-len(words))
	rest := []rune(words)
	wide := columns - len(indent)
	var parts []string
	for len(rest) > wide {
		at := wide
		for i := wide; i > wide*2/3; i-- {
			if rest[i-1] == ' ' || rest[i-1] == ',' {
				at = i
				break
			}
		}
		parts = append(parts, indent+string(rest[:at]))
		rest = rest[at:]
	}
	return append(parts, strings.TrimRight(indent+string(rest), " "))
}
