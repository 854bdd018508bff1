package console

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
