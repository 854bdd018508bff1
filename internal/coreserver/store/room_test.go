package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// By 16 MiB, so that it is quick. The admin's own file of 14 MiB, or of 1 MiB of very small values, killed core at the chart's 128Mi, and
// at each start again.
func TestAFileForAllIsWithinCoresMemory(t *testing.T) {
	many := func(count int, line string) string {
		var text strings.Builder
		for i := range count {
			fmt.Fprintf(&text, line, i)
		}
		return text.String()
	}
	long := func(bytes int) string {
		return `{"aws_default": "aws://new", "long": "x://` + strings.Repeat("x", bytes) + `"}`
	}
	for name, row := range map[string]struct{ file, content, fault string }{
		"896 KiB":          {"connections.json", long(896<<10 - 128), ""},
		"more":             {"connections.json", long(896 << 10), "connections.json: is larger than 896 KiB, which is what core reads with 16 MiB of memory"},
		"entries":          {"connections.json", `{"aws_default": "aws://new"` + many(5_462, `,"c%d":"x://"`) + "}", "has more than 5461 entries, which is what core has room for with 16 MiB of memory"},
		"entries in YAML":  {"connections.yaml", "aws_default: aws://new\n" + many(5_462, "c%d: x://\n"), "has more than 5461 entries"},
		"entries in .env":  {"connections.env", "aws_default=aws://new\n" + many(5_462, "C%d=x://\n"), "has more than 5461 entries"},
		"a list":           {"connections.json", `{"aws_default": "aws://new", "list": [` + strings.Repeat("1,", 44_000) + "1]}", "has more than 43690 fields and values"},
		"a list in YAML":   {"connections.yaml", "aws_default: aws://new\nlist:\n" + strings.Repeat("- 1\n", 11_000), "has more than 21845 fields and values"},
		"flow in YAML":     {"connections.yaml", " {aws_default: 'aws://new'" + many(5_462, ",c%d: 'x://'") + "}", "has more than 5461 entries"},
		"text is no value": {"connections.json", `{"aws_default": "aws://new", "text": "x://` + strings.Repeat(`,{\"`, 50_000) + `"}`, ""},
		"bytes and entries": {"connections.json", `{"aws_default": "aws://new"` + many(5_000, `,"c%d":"x://`+strings.Repeat("x", 150)+`"`) + "}",
			"its entries, with the others, take more than the 3072 KiB that core has for them with 16 MiB of memory"},
	} {
		t.Run(name, func(t *testing.T) {
			s, small := newTeams(t), `{"aws_default": "aws://shared"}`
			if strings.HasSuffix(row.file, ".env") {
				small = "aws_default=aws://shared\n"
			}
			s.write("entries/connections.json", "", "entries/"+row.file, small)
			inMemory := func(config *Config) { config.Memory = 16 << 20 }
			require.NoError(t, s.start(inMemory))
			err, want := s.reload("entries/"+row.file, row.content), "new"
			if row.fault == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, row.fault)
				want = "shared"
			}
			found, _ := s.Current().Lookup("", entry.Name{Kind: entry.Connection, ID: "aws_default"})
			value, err := s.Open(found)
			require.NoError(t, err)
			assert.Equal(t, want, *value.Connection.Host)
			if row.fault != "" {
				require.ErrorContains(t, s.start(inMemory), row.fault, "nor does it start")
			}
			require.NoError(t, s.start(nil), "there is enough memory")
		})
	}
}
