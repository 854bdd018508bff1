package console

import (
	_ "embed"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed elsewhere.txt
var elsewhereText string

// elsewhere are the commands that no test can run as they stand, and why. One that no document
// has fails a test.
var elsewhere = func() map[string]string {
	commands, reason := map[string]string{}, ""
	for block := range strings.SplitSeq(elsewhereText, "\n\n") {
		block = strings.TrimRight(block, "\n")
		if text, isReason := strings.CutPrefix(block, "since "); isReason {
			reason = text
		} else if command, isCommand := strings.CutPrefix(block, "$ "); isCommand {
			commands[command] = reason
		}
	}
	return commands
}()

// Elsewhere are the commands that are never run where documents are tried.
func Elsewhere() (commands []string) {
	for command := range elsewhere {
		commands = append(commands, command)
	}
	return commands
}

var comment = regexp.MustCompile(`\s+# [^\n]*$`)

// Plain is a command without the comment at its end.
func Plain(command string) string { return strings.TrimSpace(comment.ReplaceAllString(command, "")) }

var makeCommand = regexp.MustCompile(`^(?:[A-Z]+=\S+ )*make\b((?: [a-z][a-z0-9-]*)*)(?: [A-Z]+=\S+)*$`)

// Targets are those of a command that is nothing but make; none for another command.
func Targets(command string) []string {
	match := makeCommand.FindStringSubmatch(Plain(command))
	if match == nil {
		return nil
	}
	if targets := strings.Fields(match[1]); len(targets) > 0 {
		return targets
	}
	return []string{"help"}
}

// Automation is the script of what CI runs.
type Automation string

// ReadAutomation reads it from the checkout at root.
func ReadAutomation(root string) (Automation, error) {
	text, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	return Automation(text), err
}

// runs tells whether the command is one of make's that CI runs by itself.
func (a Automation) runs(command string) bool {
	targets := Targets(command)
	for _, target := range targets {
		if !regexp.MustCompile(`(?m)\bstep make ` + target + `( |$)`).MatchString(string(a)) {
			return false
		}
	}
	return len(targets) > 0
}

// Skip tells why a command is not run where documents are tried; "" if it is.
func (a Automation) Skip(command string) string {
	if a.runs(command) {
		return "CI runs it by itself"
	}
	return elsewhere[Plain(command)]
}
