package export

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
)

// wanted maps ids to the JSON form of the connection they should be.
type wanted map[string]string

func assertConnections(t *testing.T, want wanted, name, content string) {
	t.Helper()
	conns, faults, err := ReadConnections(name, []byte(content), nil)
	require.NoError(t, err)
	require.Empty(t, faults)
	got := wanted{}
	for _, conn := range conns {
		assert.Equal(t, conn.ID, conn.Connection.ID)
		assert.Nil(t, conn.Sealed)
		got[conn.ID] = string(conn.Connection.JSON())
	}
	assert.Equal(t, want, got)
}

func TestReadConnections(t *testing.T) {
	exported := wanted{
		"aws_default": `{"conn_type":"aws"}`,
		"warehouse":   `{"conn_type":"postgres","description":"the d\u00e9p\u00f4t","host":"DB.acme.com","login":"svc","password":"p@ss: \"w\ud83d\ude00","schema":"dw","port":5432,"extra":{"sslmode":"require","n":5}}`,
	}
	const uri = "google-cloud-platform://?__extra__=%7B%22project%22%3A+%22p%22%7D"
	const fromURI = `{"conn_type":"google_cloud_platform","host":"","schema":"","extra":{"project":"p"}}`
	for name, row := range map[string]struct {
		file, content string
		want          wanted
	}{
		"an export as JSON": {"c.json", `{
  "aws_default": {
    "conn_type": "aws", "description": null, "login": null, "password": null, "host": null,
    "port": null, "schema": null, "extra": null
  },
  "warehouse": {
    "conn_type": "postgres", "description": "the d\u00e9p\u00f4t", "login": "svc",
    "password": "p@ss: \"w\ud83d\ude00", "host": "DB.acme.com", "port": 5432, "schema": "dw",
    "extra": "{\"sslmode\": \"require\", \"n\": 5}"
  }
}`, exported},
		"an export as YAML": {"c.yaml", `aws_default:
  conn_type: aws
  description: null
  extra: null
  host: null
  login: null
  password: null
  port: null
  schema: null
warehouse:
  conn_type: postgres
  description: "the d\xE9p\xF4t"
  extra: '{"sslmode": "require", "n": 5}'
  host: DB.acme.com
  login: svc
  password: "p@ss: \"w\U0001F600"
  port: 5432
  schema: dw
`, exported},
		"an extra as a mapping": {"c.YML", `warehouse:
  conn_type: postgres
  description: the dépôt
  extra: {sslmode: require, n: 5}
  host: DB.acme.com
  login: svc
  password: 'p@ss: "w😀'
  port: "5432"
  schema: dw
aws_default: {conn_type: aws}
`, exported},
		"URIs as JSON":  {"c.json", `{"g": "` + uri + `"}`, wanted{"g": fromURI}},
		"URIs as YAML":  {"c.yaml", `g: ` + uri, wanted{"g": fromURI}},
		"URIs as .env":  {"c.env", "# a comment\n\ng=" + uri + "\r\n", wanted{"g": fromURI}},
		"JSON as .env":  {"c.env", `a={"conn_type": "aws", "extra": "{\"a\": 1}"}`, wanted{"a": `{"conn_type":"aws","extra":{"a":1}}`}},
		"a lone URI":    {"c.json", `{"g": {"uri": "` + uri + `", "host": null}}`, wanted{"g": fromURI}},
		"lists of one":  {"c.json", `{"g": ["` + uri + `"], "a": [{"conn_type": "aws"}]}`, wanted{"g": fromURI, "a": `{"conn_type":"aws"}`}},
		"extra_dejson":  {"c.json", `{"a": {"conn_type": "aws", "extra_dejson": {"a": [1]}}}`, wanted{"a": `{"conn_type":"aws","extra":{"a":[1]}}`}},
		"a conn_id too": {"c.json", `{"a": {"conn_id": "a", "conn_type": "aws"}}`, wanted{"a": `{"conn_type":"aws"}`}},
		"ids of all sorts": {"c.json", `{"a/b": "aws://", "..": "aws://", "\u00e9\n": "aws://"}`, wanted{
			"a/b": `{"conn_type":"aws","host":"","schema":""}`, "..": `{"conn_type":"aws","host":"","schema":""}`, "é\n": `{"conn_type":"aws","host":"","schema":""}`,
		}},
		"anchors and merges": {"c.yaml", `
base: &base {conn_type: postgres, host: h, login: u}
other:
  <<: *base
  host: i
third:
  <<: [{host: j}, *base]
`, wanted{
			"base":  `{"conn_type":"postgres","host":"h","login":"u"}`,
			"other": `{"conn_type":"postgres","host":"i","login":"u"}`,
			"third": `{"conn_type":"postgres","host":"j","login":"u"}`,
		}},
		"nothing as JSON": {"c.json", "{}", wanted{}},
		"nothing as YAML": {"c.yaml", "{}\n", wanted{}},
		"nothing as .env": {"c.env", "# nothing\n", wanted{}},
	} {
		t.Run(name, func(t *testing.T) { assertConnections(t, row.want, row.file, row.content) })
	}
}

func TestOneBrokenConnectionSpoilsNoOther(t *testing.T) {
	for name, row := range map[string]struct {
		file, content string
		want          []string
	}{
		"a port in YAML": {"c.yaml", "good: aws://\nx:\n  conn_type: postgres\n  port: nope\n", []string{
			`c.yaml:4: connection "x": field "port": must be a whole number from 0 to 65535`,
		}},
		"a port in JSON": {"c.json", "{\n\"good\": \"aws://\",\n\"x\": {\n \"conn_type\": \"postgres\",\n \"port\":\n 70000}}", []string{
			`c.json:5: connection "x": field "port": must be a whole number from 0 to 65535`,
		}},
		"a port in a URI":           {"c.env", "good=aws://\nx=s3://h:nope", []string{`c.env:2: connection "x": field "port" at byte 8: must be a whole number from 0 to 65535; where`}},
		"a port in a lone URI":      {"c.json", "{\"good\":\"aws://\",\"x\":{\n\"uri\":\"s3://h:nope\"}}", []string{`c.json:2: connection "x": field "port" at byte 8: must be`}},
		"no type":                   {"c.yaml", "good: aws://\nx:\n  host: h\n", []string{`c.yaml:2: connection "x": field "conn_type": is missing; every connection needs a type`}},
		"an unknown field":          {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  hots: h\n", []string{`c.yaml:4: connection "x": field "hots": is not a field of a connection`}},
		"a password not quoted":     {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  password: 12345\n", []string{`c.yaml:4: connection "x": field "password": must be a string; put it in quotes`}},
		"a password YAML calls no":  {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  password: no\n", []string{`c.yaml:4: connection "x": field "password": must be a string; put it in quotes`}},
		"a password that is octal":  {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  password: 0123\n", []string{`c.yaml:4: connection "x": is a number, date or mark in YAML 1.1`}},
		"a password that is a time": {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  password: 12:30:45\n", []string{`c.yaml:4: connection "x": is a number, date or mark in YAML 1.1`}},
		"a password that is a date": {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  password: 2026-01-02\n", []string{`c.yaml:4: connection "x": is a number, date or mark in YAML 1.1`}},
		"a tag":                     {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  password: !!binary aGk=\n", []string{`c.yaml:4: connection "x": has a YAML tag; remove it`}},
		"a field given twice":       {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  host: a\n  host: b\n", []string{`c.yaml:5: connection "x": holds a key that is given twice; remove one`}},
		"half of a surrogate pair":  {"c.json", "{\"good\":\"aws://\",\n\"x\":{\"conn_type\":\"aws\",\n\"password\":\"\\ud83d\"}}", []string{`c.json:3: connection "x": holds half of a surrogate pair`}},
		"an extra with a mistake":   {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  extra: '{a}'\n", []string{`c.yaml:4: connection "x": field "extra": begins as JSON and is none`}},
		"both extras":               {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  extra: {}\n  extra_dejson: {}\n", []string{`c.yaml:5: connection "x": field "extra_dejson": stands beside extra; remove one`}},
		"an extra_dejson of text":   {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  extra_dejson: '{}'\n", []string{`c.yaml:4: connection "x": field "extra_dejson": must be an object`}},
		"another conn_id":           {"c.yaml", "good: aws://\nx:\n  conn_type: aws\n  conn_id: y\n", []string{`c.yaml:4: connection "x": field "conn_id": differs from the id that the entry stands under; remove it`}},
		"a number":                  {"c.json", "{\"good\":\"aws://\",\n\"x\":5}", []string{`c.json:2: connection "x": must be a URI, or an object of fields such as conn_type and host`}},
		"nothing":                   {"c.yaml", "good: aws://\nx:\n", []string{`c.yaml:2: connection "x": must be a URI, or an object`}},
		"a list of two":             {"c.yaml", "good: aws://\nx: [aws://, s3://]\n", []string{`c.yaml:2: connection "x": must be a URI, or an object`}},
		"an id given twice": {"c.json", "{\"x\":\"aws://\",\n\"good\":\"aws://\",\n\"x\":\"s3://\"}", []string{
			`c.json:1: connection "x": is given more than once; keep one`, `c.json:3: connection "x": is given more than once; keep one`,
		}},
		"an id by an alias":      {"c.yaml", "good: &a aws://\n*a : aws://\n? [b]\n: aws://\n", []string{`c.yaml:3: connection "": is not text in YAML 1.1; put it in quotes`}},
		"an id that is a number": {"c.yaml", "good: aws://\n123: aws://\n", []string{`c.yaml:2: connection "123": is not text in YAML 1.1; put it in quotes`}},
		"lines of no form": {"c.env", "good=aws://\nn33dle\n=aws://\nx=\n", []string{
			`c.env:2: connection "": is not of the form id=value`, `c.env:3: connection "": has no id before the equals sign`, `c.env:4: connection "x": has no value after the equals sign`,
		}},
		"a line that Python ends early": {"c.env", "good=aws://\nx=s3://h\u2028tail", []string{`c.env:3: connection "": is not of the form id=value`}},
		"aliases that repeat too much": {"c.yaml", "good: aws://\n" + bomb(), []string{
			`c.yaml:2: connection "a0": must be a URI`, `"a1": must be a URI`, `"a2": must be`, `"a3": must be`,
			`"a4": nests too deep, or its aliases repeat too much`, `"a5": nests too deep`, `"a6": nests`, `"a7": nests`, `"a8": nests`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			conns, faults, err := ReadConnections(row.file, []byte(row.content), nil)
			require.NoError(t, err)
			require.Len(t, faults, len(row.want))
			for i, want := range row.want {
				assert.ErrorContains(t, faults[i], want)
				assert.NotContains(t, faults[i].Error(), "n33dle")
			}
			ids := ""
			for _, conn := range conns {
				ids += conn.ID
			}
			assert.True(t, strings.HasPrefix(ids, "good"))
		})
	}
}

// bomb is ten lists, each of ten of the one before.
func bomb() string {
	text := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		before, next := string(rune('0'+i)), string(rune('1'+i))
		text += "a" + next + ": &a" + next + " [" + strings.TrimSuffix(strings.Repeat("*a"+before+", ", 10), ", ") + "]\n"
	}
	return text
}

func TestEntryErrorWrapsItsCause(t *testing.T) {
	_, faults, err := ReadConnections("c.json", []byte("{\"x\":\n{\"conn_type\":\"s3\",\n\"port\":-1}}"), nil)
	require.NoError(t, err)
	require.Len(t, faults, 1)
	assert.Equal(t, &EntryError{
		File: "c.json", Line: 3, Kind: "connection", ID: "x",
		Err: &airflow.FieldError{Field: "port", Reason: "must be a whole number from 0 to 65535"},
	}, faults[0])
	var field *airflow.FieldError
	require.ErrorAs(t, faults[0], &field)
	assert.Equal(t, "port", field.Field)
}

func TestFilesThatCannotBeRead(t *testing.T) {
	for name, row := range map[string]struct{ file, content, want string }{
		"no suffix":                {"connections", "{}", "connections: is of no known format; name it .json, .yaml, .yml or .env"},
		"another suffix":           {"c.toml", "", "c.toml: is of no known format"},
		"JSON that breaks off":     {"c.json", "{\n\"a\":", "c.json:2: is not JSON from here on"},
		"text behind JSON":         {"c.json", "{}\n\nx", "c.json:3: is not JSON from here on"},
		"JSON with a comma more":   {"c.json", "{\"a\":\"aws://\",\n}", "c.json:2: is not JSON from here on"},
		"a JSON list":              {"c.json", "\n[]", "c.json:2: must be a mapping from ids to entries"},
		"an empty JSON file":       {"c.json", "", "c.json:1: is not JSON from here on"},
		"JSON that nests too deep": {"c.json", "{\"a\":\n" + strings.Repeat("[", 300) + strings.Repeat("]", 300) + "}", "c.json:2: is nested deeper than 200 levels"},
		"a JSON id of half a pair": {"c.json", `{"\ud83d":"aws://"}`, "c.json:1: holds a key that is not text"},
		"YAML that breaks off":     {"c.yaml", "a: b\nc: 'n33dle", "c.yaml:2: is not YAML"},
		"an unknown anchor":        {"c.yaml", "a: *n33dle", "c.yaml:1: is not YAML"},
		"a tab in YAML":            {"c.yaml", "\ta: x: n33dle", "c.yaml:1: is not YAML"},
		"JSON far too deep":        {"c.json", "{\"a\":\n" + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}", "c.json:2: is nested deeper than 200 levels"},
		"YAML far too deep":        {"c.yaml", "a:\n  " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), "c.yaml:2: is nested deeper than 200 levels"},
		"another mark":             {"c.json", "\ufeff\ufeff{}", "c.json:1: is not JSON from here on"},
		"a YAML list":              {"c.yaml", "# comment\n- a", "c.yaml:2: must be a mapping from ids to entries"},
		"an empty YAML file":       {"c.yaml", "# nothing\n", "c.yaml:1: is empty; must be a mapping"},
		"two YAML documents":       {"c.yaml", "a: aws://\n---\nb: aws://\n", "c.yaml:2: holds more than the one document that Airflow reads"},
		"a second one broken":      {"c.yaml", "a: aws://\n---\nb: *n33dle\n", "c.yaml:3: is not YAML"},
		"YAML that nests too deep": {"c.yaml", "{a: " + strings.Repeat("[", 300) + strings.Repeat("]", 300) + "}", ""},
		"bytes that are not UTF-8": {"c.yaml", "a: b\nc: \xff", "c.yaml:2: is not UTF-8"},
		"more than 16 MiB":         {"c.env", strings.Repeat("\n", MaxSize+1), "c.env: is larger than 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			conns, faults, err := ReadConnections(row.file, []byte(row.content), nil)
			if row.want == "" {
				require.NoError(t, err)
				require.Len(t, faults, 1)
				return
			}
			require.ErrorContains(t, err, row.want)
			assert.NotContains(t, err.Error(), "n33dle")
			assert.Empty(t, conns)
			assert.Empty(t, faults)
		})
	}
}

// Some editors begin every file with a byte order mark.
func TestAByteOrderMarkIsNoPartOfAFile(t *testing.T) {
	for file, content := range map[string]string{
		"c.json": `{"a": "aws://"}`, "c.yaml": "a: aws://\n", "c.env": "a=aws://\n",
	} {
		conns, faults, err := ReadConnections(file, []byte("\ufeff"+content), nil)
		require.NoError(t, err, file)
		assert.Empty(t, faults, file)
		require.Len(t, conns, 1, file)
		assert.Equal(t, "a", conns[0].ID, file)
	}
}

func TestSealedValuesAreKept(t *testing.T) {
	sealed := func(text string) bool { return strings.HasPrefix(text, "sealed:") }
	conns, faults, err := ReadConnections("c.yaml", []byte(`
whole: sealed:abc
lone: {uri: sealed:jkl, host: null}
fields:
  conn_type: aws
  login: sealed:is-no-secret
  password: sealed:def
  extra: sealed:ghi
`), sealed)
	require.NoError(t, err)
	require.Empty(t, faults)
	require.Len(t, conns, 3)

	assert.Equal(t, "sealed:abc", conns[0].Sealed.Reveal())
	assert.Zero(t, conns[0].Connection)
	assert.Equal(t, 2, conns[0].Line)

	assert.Equal(t, "sealed:jkl", conns[1].Sealed.Reveal())
	assert.Nil(t, conns[2].Sealed)
	assert.Equal(t, "sealed:def", conns[2].Connection.Password.Reveal())
	assert.Equal(t, "sealed:ghi", conns[2].Connection.Extra.Reveal())
	assert.Equal(t, 4, conns[2].Line)
}
