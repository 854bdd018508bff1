package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// asked is what an answer may be about.
type asked struct {
	names map[layout.Name]bool
	all   map[layout.Kind]bool
}

func askedBy(work seam.Work) asked {
	made := asked{names: make(map[layout.Name]bool, namesOf(work))}
	if work.Connections.All || work.Variables.All {
		made.all = map[layout.Kind]bool{layout.Connection: work.Connections.All, layout.Variable: work.Variables.All}
	}
	for _, id := range work.Connections.Names {
		made.names[layout.Name{Kind: layout.Connection, ID: id}] = true
	}
	for _, id := range work.Variables.Names {
		made.names[layout.Name{Kind: layout.Variable, ID: id}] = true
	}
	return made
}

// isEnvOf reports whether a variable is the entry's: its prefix, and the id in upper case. How letters
// beyond ASCII become upper ones is left to the other half: whatever they become, it is behind the
// prefix, and no program reads such variables but Airflow.
func isEnvOf(env string, name layout.Name) bool {
	prefix := "AIRFLOW_CONN_"
	if name.Kind == layout.Variable {
		prefix = "AIRFLOW_VAR_"
	}
	upper, has := strings.CutPrefix(env, prefix)
	switch {
	case !has, upper == "", name.ID == "", !utf8.ValidString(env):
		return false
	case isASCII(name.ID):
		return upper == strings.ToUpper(name.ID) && !strings.ContainsFunc(upper, isUnfit)
	}
	return len(upper) <= 4*len(name.ID) && !strings.ContainsFunc(upper, isUnfit)
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(char rune) bool { return char > unicode.MaxASCII })
}

// isUnfit tells what the name of a variable cannot have.
func isUnfit(char rune) bool { return char == '=' || unicode.IsControl(char) }

// shorten keeps of what somebody else chose what a line of the log has room for.
func shorten(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
