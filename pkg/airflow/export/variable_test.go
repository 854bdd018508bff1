package export

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestReadVariables(t *testing.T) {
	for name, row := range map[string]struct{ file, content, want string }{
		"a string":                     {"v.json", `{"k": "text"}`, "text"},
		"an empty string":              {"v.json", `{"k": ""}`, ""},
		"a string that is JSON":        {"v.json", `{"k": "{\"a\": 1}"}`, `{"a": 1}`},
		"a string as it stands":        {"v.json", `{"k": " a\n\u00e9\ud83d\ude00 "}`, " a\né😀 "},
		"a number":                     {"v.json", `{"k": 5}`, "5"},
		"a number in its own writing":  {"v.json", `{"k": 123456789012345678901.50}`, "123456789012345678901.50"},
		"true":                         {"v.json", `{"k": true}`, "true"},
		"null":                         {"v.json", `{"k": null}`, "null"},
		"an object":                    {"v.json", `{"k": {"b": [1, {}], "a": "\u00e9\ud83d\ude00</"}}`, "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": \"\\u00e9\\ud83d\\ude00</\"\n}"},
		"a list of one":                {"v.json", `{"k": ["a"]}`, "[\n  \"a\"\n]"},
		"with a description":           {"v.json", `{"k": {"value": "text", "description": "d"}}`, "text"},
		"an object with a description": {"v.json", `{"k": {"description": null, "value": {"value": 1}}}`, "{\n  \"value\": 1\n}"},
		"an object with a key value":   {"v.json", `{"k": {"value": 3, "unit": "m"}}`, "{\n  \"value\": 3,\n  \"unit\": \"m\"\n}"},
		"an object of a value alone":   {"v.json", `{"k": {"value": 3}}`, "{\n  \"value\": 3\n}"},
		"more than a description":      {"v.json", `{"k": {"value": 1, "description": "d", "other": 2}}`, "{\n  \"value\": 1,\n  \"description\": \"d\",\n  \"other\": 2\n}"},
		"a description that is none":   {"v.json", `{"k": {"value": 1, "description": 2}}`, "{\n  \"value\": 1,\n  \"description\": 2\n}"},
		"zero with a description":      {"v.json", `{"k": {"value": 0, "description": "d"}}`, "0"},
		"NaN":                          {"v.json", `{"k": NaN}`, "NaN"},
		"NaN within":                   {"v.json", `{"k": {"a": [NaN, -Infinity]}}`, "{\n  \"a\": [\n    NaN,\n    -Infinity\n  ]\n}"},
		"YAML text":                    {"v.yaml", "k: text", "text"},
		"YAML words for true":          {"v.yaml", "k: yes", "true"},
		"YAML words for false":         {"v.yaml", "k: Off", "false"},
		"YAML quoted words":            {"v.yaml", "k: 'yes'", "yes"},
		"YAML nothing":                 {"v.yaml", "k: ~", "null"},
		"a YAML number":                {"v.yaml", "k: -5.25", "-5.25"},
		"a YAML number in quotes":      {"v.yaml", "k: '007'", "007"},
		"a YAML number by a tag":       {"v.yaml", "k: !!str 007", "007"},
		"a YAML block":                 {"v.yaml", "k: |\n  a\n  b\n", "a\nb\n"},
		"what 1.1 takes for text":      {"v.yaml", "k: 1e3", "1e3"},
		"a YAML mapping":               {"v.yml", "k: {a: [1, no]}", "{\n  \"a\": [\n    1,\n    false\n  ]\n}"},
		".env":                         {"v.env", "k= a=b ", " a=b "},
	} {
		t.Run(name, func(t *testing.T) {
			variables, faults, err := ReadVariables(row.file, []byte(row.content))
			require.NoError(t, err)
			require.Empty(t, faults)
			require.Len(t, variables, 1)
			assert.Equal(t, "k", variables[0].Key)
			assert.Equal(t, row.want, variables[0].Value.Reveal())
		})
	}
}

func TestAnAmbiguousVariableIsTold(t *testing.T) {
	variables, _, err := ReadVariables("v.json", []byte(`{"a": {"value": 3, "unit": "m"}, "b": {"value": 3, "description": ""}, "c": {"a": {"value": 1}}}`))
	require.NoError(t, err)
	require.Len(t, variables, 3)
	assert.Len(t, variables[0].Losses, 1)
	assert.Empty(t, variables[1].Losses)
	assert.Empty(t, variables[2].Losses)
}

func TestAnEmptyEnvFileIsNoExport(t *testing.T) {
	_, _, err := ReadVariables("v.env", nil)
	require.EqualError(t, err, "v.env:1: is empty; if no entries are meant, write a comment into it")
	_, faults, err := ReadVariables("v.env", []byte("# none\n"))
	require.NoError(t, err)
	assert.Empty(t, faults)
}

func TestOneBrokenVariableSpoilsNoOther(t *testing.T) {
	for name, row := range map[string]struct{ file, content, want string }{
		"no key":                    {"v.json", `{"good":"a","":"x"}`, `v.json:1: variable "": has no id; give it one`},
		"a shell's export":          {"v.env", "good=a\nexport k=x\n", `v.env:2: variable "export k": begins with "export", which Airflow takes for a part of the id; remove it`},
		"an octal number":           {"v.yaml", "good: a\nk: 0123\n", `v.yaml:2: variable "k": is a number, date or mark in YAML 1.1`},
		"a number with underscores": {"v.yaml", "good: a\nk: 1_000\n", `v.yaml:2: variable "k": is a number`},
		"hexadecimal, and deep":     {"v.yaml", "good: a\nk:\n  a:\n  - 0x1F\n", `v.yaml:4: variable "k": is a number`},
		"infinity":                  {"v.yaml", "good: a\nk: .inf\n", `v.yaml:2: variable "k": is a number`},
		"a number for a key":        {"v.yaml", "good: a\nk:\n  1: b\n", `v.yaml:3: variable "k": is not text in YAML 1.1; put it in quotes`},
		"a key given twice":         {"v.json", "{\"good\":\"a\",\"k\":{\"a\":1,\n\"a\":2}}", `v.json:2: variable "k": holds a key that is given twice`},
		"a variable given twice":    {"v.env", "k=1\ngood=a\nk=2\n", `v.env:1: variable "k": is given more than once; keep one`},
		"a merge of text":           {"v.yaml", "good: a\nk:\n  <<: b\n", `v.yaml:3: variable "k": must be merged from a mapping`},
	} {
		t.Run(name, func(t *testing.T) {
			variables, faults, err := ReadVariables(row.file, []byte(row.content))
			require.NoError(t, err)
			require.NotEmpty(t, faults)
			assert.ErrorContains(t, faults[0], row.want)
			require.Len(t, variables, 1)
			assert.Equal(t, "good", variables[0].Key)
		})
	}
}

func TestOnlyWhatAliasesRepeatIsBounded(t *testing.T) {
	long := "a: &a 1\nb: *a\nc: [" + strings.Repeat("0,", maxRepeated+1) + "0]\n"
	variables, faults, err := ReadVariables("v.yaml", []byte(long))
	require.NoError(t, err)
	assert.Empty(t, faults)
	assert.Len(t, variables, 3)
}

// TestVariablesAreAsPythonWritesThem compares with json.dumps, by which Airflow stores
// what is not a string.
func TestVariablesAreAsPythonWritesThem(t *testing.T) {
	testneed.Program(t, "python3")
	const content = `{"k": {"text": "\u00e9\ud83d\ude00\u007f\u0000\b\f\n\r\t\"\\\/", "empty": [[], {}, ""], "n": [0, -1, 1.5, 12345678901234567890], "w": [true, false, null]}}`
	want, err := testwait.Command(t, "python3", "-c", "import json, sys; print(end=json.dumps(json.loads(sys.argv[1])['k'], indent=2))", content).Output()
	require.NoError(t, err)
	variables, _, err := ReadVariables("v.json", []byte(content))
	require.NoError(t, err)
	assert.Equal(t, string(want), variables[0].Value.Reveal())
}

func FuzzRead(f *testing.F) {
	for _, seed := range []struct{ name, content string }{
		{"c.json", `{"a": {"conn_type": "aws", "port": 1, "extra": {"a": [1.5, null]}}, "b": "s3://u:p@h", "c": {"value": {}}}`},
		{"c.yaml", "a: &a {conn_type: aws, extra: '{}'}\nb: {<<: *a, port: 0123}\nc: [s3://, no, ~, \"\\x41\"]\n"},
		{"c.env", "# c\na=aws://\nb={\"conn_type\":\"aws\"}\n=\nx\n"},
	} {
		f.Add(seed.name, []byte(seed.content))
	}
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		sealed := func(text string) bool { return len(text) > 3 && text[:3] == "sea" }
		conns, _, _ := ReadConnections(name, content, sealed)
		for _, conn := range conns {
			if conn.Sealed == nil && (conn.Connection.Extra == nil || !sealed(conn.Connection.Extra.Reveal())) {
				require.NoError(t, conn.Connection.Validate())
			}
			assert.NotEmpty(t, fmt.Sprint(conn))
		}
		variables, faults, err := ReadVariables(name, content)
		assert.True(t, err == nil || variables == nil && faults == nil)
	})
}
