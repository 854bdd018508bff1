// Package console reads and runs what documents tell a reader to type. Commands stand in
// blocks of the kind "console":
//
//	```console
//	$ core check --connections connections.json \
//	    --rules rules.yaml
//	ok: 3 entries, 1 rules
//	```
//
// A line that begins with "$ " is a command; a trailing backslash and a here-document
// continue it; what stands below it is what it prints. Any other block whose first line is
// "# NAME", such as "# task.yaml", is a file that the reader saves beside.
package console

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Document is what a document tells a reader to do, in order.
type Document struct {
	Path  string
	Steps []Step
}

// Step is a command to run or a file to save.
type Step struct {
	// At is where it stands, as FILE:LINE.
	At string
	// Command is what a shell is given; Output what the document shows below it.
	Command string
	Output  []string
	// File is the name of the file, and Content what is in it.
	File, Content string
}

// Uses tells whether any command has one of the words.
func (d Document) Uses(words ...string) bool {
	pattern := regexp.MustCompile(`(^|[^\w/.-])(` + strings.Join(words, "|") + `)( |$)`)
	for _, step := range d.Steps {
		if pattern.MatchString(step.Command) {
			return true
		}
	}
	return false
}

// NeedsCluster tells whether the document can only be followed where there is a cluster.
func (d Document) NeedsCluster() bool { return d.Uses("kubectl", "helm") }

// Parse reads a document. The error names every line that does not follow the rules.
func Parse(path, text string) (Document, error) {
	document := Document{Path: path}
	var mistakes []error
	for _, block := range blocks(path, text) {
		steps, err := block.steps()
		document.Steps = append(document.Steps, steps...)
		mistakes = append(mistakes, err)
	}
	return document, errors.Join(mistakes...)
}

// block is what stands between two fences.
type block struct {
	path, kind string
	line       int // of its first line
	lines      []string
}

func (b block) at(i int) string { return fmt.Sprintf("%s:%d", b.path, b.line+i) }

func blocks(path, text string) (all []block) {
	var open *block
	indent := ""
	for i, line := range strings.Split(text, "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimLeft(line, " "), "```")
		switch {
		case isFence && open == nil:
			indent = line[:len(line)-len(strings.TrimLeft(line, " "))]
			open = &block{path: path, kind: strings.TrimSpace(fence), line: i + 2}
		case isFence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.lines = append(open.lines, strings.TrimPrefix(line, indent))
		}
	}
	return all
}

var savedFile = regexp.MustCompile(`^# ([\w-]+\.[a-z]+)$`)

func (b block) steps() ([]Step, error) {
	switch b.kind {
	case "console":
		return b.commands()
	case "sh", "bash", "shell", "zsh":
		return nil, fmt.Errorf("%s: a block of the kind %q: write ```console, and \"$ \" before each command", b.at(-1), b.kind)
	}
	for i, line := range b.lines {
		if strings.HasPrefix(line, "$ ") {
			return nil, fmt.Errorf("%s: a command in a block of the kind %q: write ```console", b.at(i), b.kind)
		}
	}
	if len(b.lines) > 0 {
		if match := savedFile.FindStringSubmatch(b.lines[0]); match != nil {
			return []Step{{At: b.at(0), File: match[1], Content: strings.Join(b.lines, "\n") + "\n"}}, nil
		}
	}
	return nil, nil
}

var hereDocument = regexp.MustCompile(`<<-?\s*['"]?(\w+)['"]?`)

func (b block) commands() (steps []Step, err error) {
	end := "" // of a here-document
	goesOn := false
	for i, line := range b.lines {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case goesOn:
			steps[len(steps)-1].Command += "\n" + line
			command = line
		case isCommand:
			steps = append(steps, Step{At: b.at(i), Command: command})
		case len(steps) == 0:
			return nil, fmt.Errorf("%s: this block begins with output: write \"$ \" before a command, or another kind of block", b.at(i))
		default:
			steps[len(steps)-1].Output = append(steps[len(steps)-1].Output, line)
			continue
		}
		if match := hereDocument.FindStringSubmatch(command); match != nil && end == "" {
			end = match[1]
		} else if line == end {
			end = ""
		}
		goesOn = end != "" || strings.HasSuffix(line, `\`)
	}
	if goesOn {
		return nil, fmt.Errorf("%s: the last command of this block does not end", b.at(-1))
	}
	return steps, nil
}
