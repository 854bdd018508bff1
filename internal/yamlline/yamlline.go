// Package yamlline finds the line of what is wrong with a YAML file. The YAML library
// tells it of most faults in the text of its error, and of the others not at all.
package yamlline

import (
	"bytes"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

var words = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// Of takes apart the error that decoding content into a yaml.Node gave. The line counts
// from 1. The reason does not quote the file: a value without quotes that begins with * is an alias to
// the library, which names it.
func Of(content []byte, err error) (line int, reason string) {
	found := words.FindStringSubmatch(err.Error())
	if found == nil {
		return 1, "it cannot be read"
	}
	line, atoiErr := strconv.Atoi(found[1])
	if atoiErr != nil {
		line = firstWith(content, err)
	}
	if strings.Contains(found[2], "anchor '") {
		return line, "an alias has no anchor; put text that begins with * in quotes"
	}
	return line, found[2]
}

// firstWith is the number of lines that it takes from the beginning for decoding to
// fail as it does: it stops at the first fault, whatever comes behind.
func firstWith(content []byte, err error) int {
	lines := bytes.SplitAfter(content, []byte("\n"))
	return 1 + sort.Search(len(lines)-1, func(more int) bool {
		prefix := bytes.Join(lines[:1+more], nil)
		return decode(prefix).Error() == err.Error()
	})
}

// decode reads all documents and returns what ends them, io.EOF at best.
func decode(content []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		if err := decoder.Decode(new(yaml.Node)); err != nil {
			return err
		}
	}
}
