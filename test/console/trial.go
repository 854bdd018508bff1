package console

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Trial is how a document is tried.
type Trial struct {
	Shell *Shell
	// Skip tells why a command is not run here; "" runs it.
	Skip func(command string) (reason string)
	// Patience is how long one command may take.
	Patience time.Duration
	Log      func(format string, args ...any)
}

// Run does what the document says, and stops at the first step that fails.
func (t Trial) Run(ctx context.Context, document Document) error {
	for _, step := range document.Steps {
		if err := t.step(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

func (t Trial) step(ctx context.Context, step Step) error {
	if step.File != "" {
		return os.WriteFile(filepath.Join(t.Shell.dir, step.File), []byte(step.Content), 0o600)
	}
	if reason := t.Skip(step.Command); reason != "" {
		t.Log("%s: not run here, since %s: %s", step.At, reason, step.Command)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, t.Patience)
	defer cancel()
	began := time.Now()
	output, err := t.Shell.Run(ctx, step.Command)
	t.Log("%s: %v: %s", step.At, time.Since(began).Round(time.Millisecond), step.Command)
	if err == nil {
		err = Compare(step.Output, output)
	}
	if err != nil {
		return fmt.Errorf("%s: the command\n\t%s\nfails: %w; it prints:\n%s", step.At, step.Command, err, output)
	}
	return nil
}

var digits, spaces, comment = regexp.MustCompile(`[0-9]+`), regexp.MustCompile(`\s+`), regexp.MustCompile(`\s+# [^\n]*$`)

// Compare holds what a document shows to what was printed: each line of it must be a line there, and the
// first one the first. Numbers may differ, and the width of columns; "…" stands for anything within a line.
func Compare(shown []string, printed string) error {
	start := `\A`
	for _, line := range shown {
		pattern := regexp.QuoteMeta(strings.TrimSpace(line))
		pattern = spaces.ReplaceAllString(digits.ReplaceAllString(pattern, `[0-9]+`), `\s+`)
		pattern = `(?m)` + start + `\s*` + strings.ReplaceAll(pattern, "…", ".*") + `\s*$`
		if found, err := regexp.MatchString(pattern, printed); err != nil || !found {
			return fmt.Errorf("it does not print %q", line)
		}
		start = "^"
	}
	return nil
}

//go:embed elsewhere.txt
var elsewhere string

// Elsewhere are the commands that are never run where documents are tried, and why.
func Elsewhere() map[string]string {
	commands, reason := map[string]string{}, ""
	for block := range strings.SplitSeq(elsewhere, "\n\n") {
		block = strings.TrimRight(block, "\n")
		if text, isReason := strings.CutPrefix(block, "since "); isReason {
			reason = text
		} else if command, isCommand := strings.CutPrefix(block, "$ "); isCommand {
			commands[command] = reason
		}
	}
	return commands
}

// Plain is a command without the comment at its end.
func Plain(command string) string { return strings.TrimSpace(comment.ReplaceAllString(command, "")) }

// Skip is a Trial's, for wherever documents are tried.
func Skip(command string) (reason string) { return Elsewhere()[Plain(command)] }
