package docs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testgolden"
)

const referencePage = root + "/docs/reference.md"

var (
	settingsBlock = regexp.MustCompile("(?s)<!-- settings -->\n.*?<!-- end of settings -->")
	flagInHelp    = regexp.MustCompile(`(?m)^  --([a-z0-9-]+).*\((LEOFLOW_[A-Z0-9_]+)\)$`)
)

// TestSettingsAreDocumented compares the table of all settings, and writes it with -update.
func TestSettingsAreDocumented(t *testing.T) {
	page := text(t, referencePage)
	table := "<!-- settings -->\n" + settings(t) + "<!-- end of settings -->"
	require.Regexp(t, settingsBlock, page)
	testgolden.File(t, referencePage, settingsBlock.ReplaceAllLiteralString(page, table), "make generate")
}

// settings is a table of all variables, with the commands that read them.
func settings(t *testing.T) string {
	t.Helper()
	flags, readers := map[string]string{}, map[string][]string{}
	help := helpOfAll(t)
	for _, command := range slices.Sorted(maps.Keys(help)) {
		for _, match := range flagInHelp.FindAllStringSubmatch(help[command], -1) {
			flags[match[2]] = match[1]
			readers[match[2]] = append(readers[match[2]], "`"+command+"`")
		}
	}
	var table strings.Builder
	table.WriteString("| variable | flag | of |\n|---|---|---|\n")
	for _, variable := range slices.Sorted(maps.Keys(flags)) {
		fmt.Fprintf(&table, "| `%s` | `--%s` | %s |\n", variable, flags[variable], strings.Join(readers[variable], ", "))
	}
	return table.String()
}
