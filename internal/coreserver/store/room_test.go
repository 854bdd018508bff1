package store

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/metastore"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
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
		"640 KiB":          {"connections.json", long(640<<10 - 128), ""},
		"more":             {"connections.json", long(640 << 10), "connections.json: is larger than 640 KiB, which is what core reads with 16 MiB of memory"},
		"entries":          {"connections.json", `{"aws_default": "aws://new"` + many(3_277, `,"c%d":"x://"`) + "}", "has more than 3276 entries, which is what core has room for with 16 MiB of memory"},
		"entries in YAML":  {"connections.yaml", "aws_default: aws://new\n" + many(3_277, "c%d: x://\n"), "has more than 3276 entries"},
		"entries in .env":  {"connections.env", "aws_default=aws://new\n" + many(3_277, "C%d=x://\n"), "has more than 3276 entries"},
		"a list":           {"connections.json", `{"aws_default": "aws://new", "list": [` + strings.Repeat("1,", 27_000) + "1]}", "has more than 26214 fields and values"},
		"a list in YAML":   {"connections.yaml", "aws_default: aws://new\nlist:\n" + strings.Repeat("- 1\n", 6_600), "has more than 13107 fields and values"},
		"flow in YAML":     {"connections.yaml", " {aws_default: 'aws://new'" + many(3_277, ",c%d: 'x://'") + "}", "has more than 3276 entries"},
		"text is no value": {"connections.json", `{"aws_default": "aws://new", "text": "x://` + strings.Repeat(`,{\"`, 50_000) + `"}`, ""},
		"bytes and entries": {"connections.json", `{"aws_default": "aws://new"` + many(3_200, `,"c%d":"x://`+strings.Repeat("x", 170)+`"`) + "}",
			"its entries, with the others that are for all, take more than the 20"},
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
			fault := err
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
				require.ErrorContains(t, fault, "; raise the memory limit of core's container")
				if wants := regexp.MustCompile(`to (\d+) MiB`).FindStringSubmatch(fault.Error()); wants != nil {
					enough, err := strconv.Atoi(wants[1])
					require.NoError(t, err)
					require.NoError(t, s.start(func(config *Config) { config.Memory = int64(enough) << 20 }), "which is enough")
					require.LessOrEqual(t, enough, 48, "and not much more")
				}
			}
			require.NoError(t, s.start(nil), "there is enough memory")
		})
	}
}

// of is an export of the given id and of one long value.
func of(id string, bytes int) string {
	return `{"` + id + `": "http://there", "long": "x://` + strings.Repeat("x", bytes) + `"}`
}

// crowdedTeams are seven teams, of which six may have all that teams have of 16 MiB, a quarter of a MiB each.
func crowdedTeams(t *testing.T) *teams {
	s, admin := newTeams(t), "teams:\n"
	s.write("entries/payments", "", "entries/bank.connections.yaml", "", "rules", "")
	for _, name := range "abcdefg" {
		admin += fmt.Sprintf("- {name: %c, namespaces: [%c]}\n", name, name)
		s.write(fmt.Sprintf("rules/%c.yaml", name), teamRules("own"))
	}
	s.write("rules/admin.yaml", admin+`rules: [{namespaces: ["*"], serviceAccounts: ["*"], connections: [shared]}]`+"\n")
	s.fill("abcdef", 250<<10)
	return s
}

// fill gives each of the teams an entry "own" and so many bytes.
func (s *teams) fill(names string, bytes int) {
	for _, name := range names {
		s.write(fmt.Sprintf("entries/%c/connections.json", name), of("own", bytes))
	}
}

// forThreeMiB is the memory of a core whose entries may take 3 MiB together.
const forThreeMiB = 24 << 20

// What is for all and what teams have were each within core's memory, and killed it together: 24 MiB
// and 24 MiB of them at the chart's 128Mi.
func TestWhatIsForAllAndWhatTeamsHaveShareCoresMemory(t *testing.T) {
	const shared, other = "entries/connections.json", "entries/variables.json"
	s := crowdedTeams(t)
	inMemory := func(config *Config) { config.Memory = forThreeMiB }
	require.NoError(t, s.start(inMemory))
	require.ErrorContains(t, s.reload("entries/a/connections.json", of("more", 260<<10)), `the entries of team "a" take more than the 256 KiB that a team has`)
	assert.Equal(t, "there", s.gets("a", "own"), "its last good state")
	s.fill("g", 200<<10)
	require.ErrorContains(t, s.reload(), "the entries of all teams take more than the 1536 KiB that core has for them beside those that are for all, with 24 MiB of memory")
	assert.Equal(t, "undecided", s.gets("g", "own"))
	assert.Equal(t, "there", s.gets("b", "own"))

	// Half of it is there for what is for all, however much teams have.
	require.NoError(t, s.reload(shared, of("shared", 800<<10), other, of("long", 600<<10), "entries/a/connections.json", of("own", 250<<10)))
	assert.Equal(t, "there", s.gets("a", "shared"))
	require.ErrorContains(t, s.reload(other, of("more", 880<<10)), other+": its entries, with the others that are for all, take more than the 15")
	assert.Equal(t, s.now, s.status(other).Since)
	assert.NotEmpty(t, s.status(other).Fault)

	// It may have what teams leave, and they what it leaves again.
	s.fill("bcdefg", 10)
	require.NoError(t, s.reload())
	assert.Empty(t, s.status(other).Fault, "it is read again as soon as there is room")
	assert.Equal(t, "there", s.gets("g", "own"))
	s.fill("abcdef", 240<<10)
	require.ErrorContains(t, s.reload(), "the entries of all teams take more than the 1")
	assert.Equal(t, "there", s.gets("f", "own"), "who is too late keeps what it had")

	// A core that starts on all of this starts: what is for all is read first, though teams' files come
	// first by their names.
	require.NoError(t, s.start(inMemory))
	assert.Equal(t, "there", s.gets("a", "shared"))
	assert.Equal(t, "there", s.gets("a", "own"))
	assert.Equal(t, "undecided", s.gets("f", "own"), "which is held in running pods")
	require.NoError(t, s.reload(other, of("long", 10)))
	assert.Equal(t, "there", s.gets("f", "own"))
}

// The same goes for the files of flags, and for Airflow's database, whose last good state stays too.
func TestAirflowsDatabaseSharesCoresMemory(t *testing.T) {
	dir := t.TempDir()
	s := &teams{t: t, directory: dir}
	s.write("variables.json", `{"a": "b"}`)
	var err error
	s.Store, err = New(Config{
		Variables: dir + "/variables.json", Metastore: dir + "/url", Memory: forThreeMiB, Versioner: newVersioner(t, "shared"),
	})
	require.NoError(t, err)
	rows := func(bytes int) metastore.Found {
		name := entry.Name{Kind: entry.Connection, ID: "warehouse"}
		return metastore.Found{Changed: true, Connections: []metastore.Row{{
			Number: 1, Name: name, Connection: airflow.Connection{ID: "warehouse", Type: "http", Password: new(secret.New(strings.Repeat("x", bytes)))},
		}}}
	}
	password := func() int {
		found, _ := s.Current().Lookup("", entry.Name{Kind: entry.Connection, ID: "warehouse"})
		value, err := s.Open(found)
		require.NoError(t, err)
		return value.Connection.Password.Len()
	}
	_, err = s.Take(rows(2<<20), nil)
	require.NoError(t, err)
	err = s.reload("variables.json", of("a", 890<<10)+" ")
	require.NoError(t, err)
	err = s.reload("variables.json", `{"a": "`+strings.Repeat("b", 300<<10)+`"}`)
	require.NoError(t, err)

	changed, err := s.Take(rows(2900<<10), nil)
	require.ErrorContains(t, err, "what Airflow's database holds: its entries, with the others that are for all, take more than the 3072 KiB")
	assert.False(t, changed)
	assert.Equal(t, 2<<20, password())
	assert.NotEmpty(t, s.status("url").Fault)

	require.NoError(t, s.reload("variables.json", `{"a": "b"}`))
	again := rows(2900 << 10)
	again.Changed = false // since the look before
	changed, err = s.Take(again, nil)
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Equal(t, 2900<<10, password())
	assert.Empty(t, s.status("url").Fault)

	require.ErrorContains(t, s.reload("variables.json", of("a", 600<<10)), "take more than the 3072 KiB")
	_, err = s.Take(rows(10), nil)
	require.NoError(t, err)
	require.NoError(t, s.reload())
	assert.Empty(t, s.status("variables.json").Fault, "it is read again once there is room")
}
