package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leoflow/secrets-csi/internal/testgolden"
)

const document = "../../docs/connections-table.md"

// TestDocument keeps the documented table equal to the tested one.
func TestDocument(t *testing.T) {
	testgolden.File(t, document, writeTable(t), "make generate")
}

func writeTable(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	out.WriteString(`<!-- Written by go test ./internal/policy -run TestDocument -update; every row is a test. -->
# What a hook is given

Each row is a connection as core stores it, without its ` + "`conn_type`" + `, and what the hook of that
type is given. What Airflow alone, and then the hook, uses is told by a model of upstream's code
that the tests carry, and that hooks of three provider ages confirm, row by row
([airflow-differences.md](airflow-differences.md)). "valid", "runtime" and "broken" are the grades of the structural probe.
How to set a connection up is in [connections.md](connections.md).
`)
	for _, section := range sections() {
		fmt.Fprintf(&out, "\n## `%s`\n\n| case | stored | Airflow alone uses | fetched | given to the hook | the hook uses | grade | notices |\n|---|---|---|---|---|---|---|---|\n", section.connType)
		for _, row := range section.rows {
			fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", row.name,
				code(row.stored), uses(parse(t, section.connType, row.stored)), code(row.secret),
				code(row.given), row.uses, row.grade, strings.Join(row.notices, ", "))
		}
	}
	out.WriteString("\n## What fails\n\nThe entry fails, alone, with a message that names the field and the remedy.\n\n| type | case | field | the message says |\n|---|---|---|---|\n")
	for _, row := range badRows {
		fmt.Fprintf(&out, "| `%s` | %s | `%s` | … %s … |\n", row.connType, row.name, row.field, row.remedy)
	}
	return out.String()
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
}
