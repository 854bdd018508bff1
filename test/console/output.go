package console

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	digits = regexp.MustCompile(`[0-9]+`)
	spaces = regexp.MustCompile(`\s+`)
)

// Compare holds what a document shows to what was printed: each line of it must be a line
// there. Numbers may differ, and the width of columns; "…" stands for anything.
func Compare(shown []string, printed string) error {
	lines := strings.Split(printed, "\n")
	for _, line := range shown {
		pattern, err := regexp.Compile(patternOf(line))
		if err != nil {
			return err
		}
		found := false
		for _, candidate := range lines {
			found = found || pattern.MatchString(strings.TrimSpace(candidate))
		}
		if !found {
			return fmt.Errorf("it does not print %q", line)
		}
	}
	return nil
}

func patternOf(line string) string {
	pattern := regexp.QuoteMeta(strings.TrimSpace(line))
	pattern = digits.ReplaceAllString(pattern, `[0-9]+`)
	pattern = spaces.ReplaceAllString(pattern, `\s+`)
	return "^" + strings.ReplaceAll(pattern, "…", ".*") + "$"
}
