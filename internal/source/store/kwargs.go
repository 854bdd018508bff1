package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Kwargs are Airflow's backend_kwargs. Each option that a store knows is read by its name; Err
// tells of the mistakes, and of options that nobody read: what is not honoured is never
// passed over.
type Kwargs struct {
	left     map[string]json.RawMessage
	mistakes []string
}

// ParseKwargs reads the JSON object that stands in airflow.cfg. Nothing is no options.
func ParseKwargs(text string) (*Kwargs, error) {
	made := &Kwargs{left: map[string]json.RawMessage{}}
	if strings.TrimSpace(text) == "" {
		return made, nil
	}
	if err := json.Unmarshal([]byte(text), &made.left); err != nil || made.left == nil {
		return nil, errors.New("it is no JSON object; write backend_kwargs as in airflow.cfg") // the error might quote a secret
	}
	return made, nil
}

func (k *Kwargs) mistake(option, format string, args ...any) {
	k.mistakes = append(k.mistakes, option+" "+fmt.Sprintf(format, args...))
}

// take reads an option into a value that has its default; null where it is null.
func (k *Kwargs) take(option string, into any, what string) (given, null bool) {
	value, given := k.left[option]
	delete(k.left, option)
	switch {
	case !given:
	case string(value) == "null":
		return true, true
	case json.Unmarshal(value, into) != nil:
		k.mistake(option, "must be %s", what)
	}
	return given, false
}

// Text reads text. null is empty.
func (k *Kwargs) Text(option, otherwise string) string {
	if _, null := k.take(option, &otherwise, "text"); null {
		return ""
	}
	return otherwise
}

// Number reads a whole number. null is the default.
func (k *Kwargs) Number(option string, otherwise int) int {
	k.take(option, &otherwise, "a whole number")
	return otherwise
}

// Bool reads true or false. null is false, as in Python.
func (k *Kwargs) Bool(option string, otherwise bool) bool {
	if _, null := k.take(option, &otherwise, "true or false"); null {
		return false
	}
	return otherwise
}

// TextOrNull reads text that may be switched off.
func (k *Kwargs) TextOrNull(option, otherwise string) (text string, null bool) {
	_, null = k.take(option, &otherwise, "text, or null")
	return otherwise, null
}

// Words reads lists of words by name.
func (k *Kwargs) Words(option string) map[string][]string {
	var words map[string][]string
	k.take(option, &words, "an object of lists of text")
	return words
}

// Texts reads one text or a list of them; nil for null.
func (k *Kwargs) Texts(option string, otherwise string) []string {
	texts := []string{otherwise}
	var value json.RawMessage
	if given, null := k.take(option, &value, ""); null {
		return nil
	} else if !given {
		return texts
	}
	if json.Unmarshal(value, &texts) != nil && json.Unmarshal(value, &texts[0]) != nil {
		k.mistake(option, "must be text, a list of texts, or null")
	}
	return texts
}

// Prefix reads the options of a kind: its prefix and, where a store has them, the pattern of its
// ids.
func (k *Kwargs) Prefix(kind, otherwise string, hasPattern bool) Prefix {
	made := Prefix{Option: kind + "_prefix"}
	made.Text, made.Off = k.TextOrNull(made.Option, otherwise)
	if !hasPattern {
		return made
	}
	option := made.patternOption()
	pattern, null := k.TextOrNull(option, "")
	if null || pattern == "" {
		return made
	}
	var err error
	if made.Pattern, err = regexp.Compile(`(?i)^(?:` + asGos(pattern) + `)`); err != nil {
		k.mistake(option, "is no pattern that this driver has; of Python's it lacks those that look around and refer back")
	}
	return made
}

// spelled are what Go's patterns spell otherwise than Python's: the end of the text, and a repetition without a least number,
// which Go takes for those very characters.
var spelled = regexp.MustCompile(`\\(?s:.)|\{,[0-9]+\}`)

func asGos(pattern string) string {
	return spelled.ReplaceAllStringFunc(pattern, func(part string) string {
		if most, isRepetition := strings.CutPrefix(part, "{,"); isRepetition {
			return "{0," + most
		}
		return strings.Replace(part, `\Z`, `\z`, 1)
	})
}

// Ignore passes over options that change nothing here.
func (k *Kwargs) Ignore(options ...string) {
	for _, option := range options {
		delete(k.left, option)
	}
}

// IgnoreTrue passes over options that are true, where that is so here anyway.
func (k *Kwargs) IgnoreTrue(options ...string) {
	for _, option := range options {
		if string(k.left[option]) == "true" {
			delete(k.left, option)
		}
	}
}

// Refuse tells of options that cannot be honoured, and how to have here what they are for. null
// is as good as absent.
func (k *Kwargs) Refuse(instead string, options ...string) {
	for _, option := range options {
		if value, given := k.left[option]; given && string(value) != "null" && string(value) != `""` {
			k.mistake(option, "cannot be used here: %s", instead)
		}
		delete(k.left, option)
	}
}

// Mistake adds one that the store finds itself.
func (k *Kwargs) Mistake(option, format string, args ...any) { k.mistake(option, format, args...) }

// Err is everything that is wrong with the options, in one line.
func (k *Kwargs) Err() error {
	all := slices.Clone(k.mistakes)
	for _, option := range slices.Sorted(maps.Keys(k.left)) {
		all = append(all, option+" is not known to this driver, remove it")
	}
	if len(all) == 0 {
		return nil
	}
	return errors.New(strings.Join(all, "; "))
}
