package envshim

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// longestLine is the most that kubelet reads of one line: it scans 64 KiB at a time, the end of the
// line included (bufio.MaxScanTokenSize).
const longestLine = 64<<10 - 1

// kubeletLine is NAME='value' as kubelet reads it for env[].valueFrom.fileKeyRef
// (k8s.io/kubernetes/pkg/kubelet/util/env, KEP-3721): no escape, several lines, everything
// between the quotes literally. One line that it cannot read makes it refuse every key that
// comes after, and its message names neither; so everything that would not arrive byte for byte
// is refused here.
func kubeletLine(name, value string) (string, error) {
	line := name + "='" + value + "'"
	switch size := len(name) + len("=") + len(value) + len("\x00"); {
	case !isKubeletName(name):
		return "", fmt.Errorf("kubelet knows no variable %s: a name is of printable ASCII and ends with no space; use 'agent exec'", OnOneLine(name))
	case value == "":
		return "", errors.New("the value is empty, which kubelet takes for a key that is not there: add --omit-empty, and optional: true to its fileKeyRef")
	case strings.Contains(value, "'"):
		return "", errors.New("the value holds a single quote, which ends it in kubelet's file; use 'agent exec'")
	case strings.Contains(value, "\r\n"):
		return "", errors.New("the value holds a CR before an LF, and kubelet drops it; use 'agent exec'")
	case !utf8.ValidString(value):
		return "", errors.New("the value is not UTF-8, and the container runtime's JSON cannot hold it; use 'agent exec'")
	case size > CurrentLimits().String:
		return "", fmt.Errorf("%s takes %d bytes with its name, and the kernel accepts %d in one variable: read it from the volume", name, size, CurrentLimits().String)
	}
	for part := range strings.SplitSeq(line, "\n") {
		if len(part) > longestLine {
			return "", fmt.Errorf("a line of the value takes %d bytes with name and quotes, and kubelet reads %d; use 'agent exec'", len(part), longestLine)
		}
	}
	return line, nil
}

// isKubeletName tells whether a fileKeyRef can name the variable (IsRelaxedEnvVarName of
// k8s.io/apimachinery), and kubelet's parser finds it. Faults has seen to the rest.
func isKubeletName(name string) bool {
	for _, c := range []byte(name) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return !strings.HasSuffix(name, " ")
}

// WithoutEmpty leaves out entries whose value is empty.
func WithoutEmpty(entries []Entry) []Entry {
	var full []Entry
	for _, entry := range entries {
		if entry.Value.Len() > 0 {
			full = append(full, entry)
		}
	}
	return full
}
