package airflow

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type jsonRow struct {
	text string
	want Connection
}

func jsonRows() map[string]jsonRow {
	only := func(change ...func(*Connection)) Connection {
		conn := Connection{ID: "id", Type: "s3"}
		for _, each := range change {
			each(&conn)
		}
		return conn
	}
	return map[string]jsonRow{
		"everything": {
			`{"conn_type": "my-conn-type", "description": "d", "login": "my-login", "password": "my-password", "host": "My-Host", "port": 1234, "schema": "my-schema", "extra": {"param1": "val1", "n": 5, "deep": {"a": [true, null]}}}`,
			connection("my_conn_type", "My-Host", "my-schema", login("my-login"), password("my-password"), port(1234), described("d"), extra(`{"param1":"val1","n":5,"deep":{"a":[true,null]}}`)),
		},
		"absent fields are absent": {`{"conn_type":"s3"}`, only()},
		"null fields are absent":   {`{"conn_type":"s3","host":null,"login":null,"password":null,"schema":null,"port":null,"extra":null,"description":null}`, only()},
		"empty fields are empty":   {`{"conn_type":"s3","host":"","schema":"","login":"","password":""}`, connection("s3", "", "", login(""), password(""))},
		"the case of a type stays": {`{"conn_type":"My-SQL"}`, Connection{ID: "id", Type: "My_SQL"}},
		"postgresql is postgres":   {`{"conn_type":"postgresql"}`, Connection{ID: "id", Type: "postgres"}},
		"escapes":                  {`{"conn_type":"s3","password":"\"\\\/\u0000\ud83d\ude00é"}`, only(password("\"\\/\x00😀é"))},
		"a lone URI":               {`{"uri":"s3://h/s"}`, connection("s3", "h", "s")},
		"a URI described":          {`{"description":"d","uri":"s3://h/s"}`, connection("s3", "h", "s", described("d"))},

		"a port in quotes":         {`{"conn_type":"s3","port":" 5432 "}`, only(port(5432))},
		"port 0":                   {`{"conn_type":"s3","port":0}`, only(port(0))},
		"empty quotes are no port": {`{"conn_type":"s3","port":""}`, only()},

		"an extra as text":           {`{"conn_type":"s3","extra":"{\"a\": 1}"}`, only(extra(`{"a":1}`))},
		"white space in it goes":     {"{\"conn_type\":\"s3\",\"extra\":{\n \"a b\" : \" \\\" { \" }}", only(extra(`{"a b":" \" { "}`))},
		"numbers in it stay":         {`{"conn_type":"s3","extra":{"a":1.50,"b":1E5,"c":123456789012345678901234567890}}`, only(extra(`{"a":1.50,"b":1E5,"c":123456789012345678901234567890}`))},
		"beyond ASCII it is escaped": {`{"conn_type":"s3","extra":{"é":"😀\u00E9"}}`, only(extra(`{"\u00e9":"\ud83d\ude00\u00E9"}`))},
		"words are an extra":         {`{"conn_type":"s3","extra":"just words"}`, only(extra(`just words`))},
		"a blank is an extra":        {`{"conn_type":"s3","extra":" "}`, only(extra(` `))},
		"a list in text is one":      {`{"conn_type":"s3","extra":"[1, 2]"}`, only(extra(`[1, 2]`))},
		"a text in text is one":      {`{"conn_type":"s3","extra":"\"{}\""}`, only(extra(`"{}"`))},
		"NaN is a number":            {`{"conn_type":"s3","extra":{"a": NaN, "b": [-Infinity]}}`, only(extra(`{"a":NaN,"b":[-Infinity]}`))},
		"the text {} is an extra":    {`{"conn_type":"s3","extra":"{}"}`, only(extra(`{}`))},
		"the object {} is none":      {`{"conn_type":"s3","extra":{ }}`, only()},
		"the list [] is none":        {`{"conn_type":"s3","extra":[]}`, only()},
		"empty text is none":         {`{"conn_type":"s3","extra":""}`, only()},
		"false is none":              {`{"conn_type":"s3","extra":false}`, only()},
		"zero is none":               {`{"conn_type":"s3","extra":-0.0}`, only()},
	}
}

func TestParseJSON(t *testing.T) {
	for name, row := range jsonRows() {
		t.Run(name, func(t *testing.T) {
			got, err := ParseJSON("id", []byte(row.text))
			require.NoError(t, err)
			assertSameConnection(t, row.want, got)
		})
	}
}

func TestParseJSONRefuses(t *testing.T) {
	const start = `{"conn_type":"s3",`
	for name, row := range map[string]struct{ text, want string }{
		"no type":                   {`{"host":"h"}`, `field "conn_type": is missing; every connection needs a type`},
		"an empty type":             {`{"conn_type":""}`, `field "conn_type": is missing`},
		"an unknown field":          {start + `"hots":"h"}`, `field "hots" at byte 19: is not a field of a connection; Airflow knows`},
		"an endless field":          {start + `"` + strings.Repeat("é", 9999) + `":1}`, `field "` + strings.Repeat("é", 32) + `…" at byte 19: is not a field`},
		"a field in upper case":     {start + `"Host":"h"}`, `field "Host" at byte 19: is not a field`},
		"a field given twice":       {start + `"host":"h", "host":"h"}`, `field "host" at byte 31: is given twice; remove one`},
		"a URI beside a field":      {start + `"uri":"s3://h"}`, `field "uri" at byte 19: stands beside no field but description`},
		"a URI that is null":        {`{"uri":null}`, `field "uri" at byte 2: is null`},
		"a URI that is broken":      {`{"uri":"s3://h:x"}`, `field "port" at byte 8: must be`},
		"a number for a string":     {start + `"password":12345}`, `field "password" at byte 19: must be a string; put it in quotes`},
		"an object for a string":    {start + `"host":{}}`, `field "host" at byte 19: must be a string`},
		"half of a surrogate pair":  {start + `"password":"\ud83d"}`, `field "password" at byte 19: holds half of a surrogate pair`},
		"halves the wrong way":      {start + `"password":"\ude00\ud83d"}`, `field "password" at byte 19: holds half of a surrogate pair`},
		"a port too high":           {start + `"port":65536}`, `field "port" at byte 19: must be a whole number from 0 to 65535`},
		"a port below zero":         {start + `"port":-1}`, `field "port" at byte 19: must be`},
		"a port with a point":       {start + `"port":1.0}`, `field "port" at byte 19: must be`},
		"a port that is true":       {start + `"port":true}`, `field "port" at byte 19: must be`},
		"a port in words":           {start + `"port":"x"}`, `field "port" at byte 19: must be`},
		"an extra that is a list":   {start + `"extra":[1]}`, `field "extra" at byte 19: must be a JSON object`},
		"an extra that is a number": {start + `"extra":5}`, `field "extra" at byte 19: must be a JSON object`},
		"an extra that is true":     {start + `"extra":true}`, `field "extra" at byte 19: must be a JSON object`},
		"an extra with a mistake":   {start + `"extra":"{\"a\": 1,}"}`, `field "extra" at byte 19: begins as JSON and is none; correct it`},
		"half a pair in an extra":   {start + `"extra":{"a":"\ud83d"}}`, `field "extra" at byte 19: holds half of a surrogate pair`},
		"half a pair in its text":   {start + `"extra":"{\"a\":\"\\ud83d\"}"}`, `field "extra" at byte 19: holds half of a surrogate pair`},
		"a team":                    {start + `"team_name":"t"}`, `field "team_name" at byte 19: is of Airflow's teams`},
		"a list":                    {`[]`, `reading connection as JSON: it must be an object`},
		"half an object":            {`{"conn_type":`, `reading connection as JSON: byte 13: not JSON from here on`},
		"text behind the object":    {`{} x`, `reading connection as JSON: byte 4: not JSON from here on`},
		"bytes that are not UTF-8":  {"{\"a\":\"\xff\"}", `reading connection as JSON: byte 7: not UTF-8`},
		"two hundred levels":        {start + `"extra":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}", "nested deeper than 200 levels"},
		"more than a mebibyte":      {strings.Repeat(" ", 1<<20+1), "reading connection: text of 1048577 bytes is longer than 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseJSON("id", []byte(row.text))
			require.ErrorContains(t, err, row.want)
			assert.Zero(t, got)
		})
	}
}

func TestJSON(t *testing.T) {
	for name, row := range map[string]struct {
		conn Connection
		want string
	}{
		"everything": {
			connection("google_cloud_platform", "H", "s", login("u"), password("p"), port(0), described("d"), extra(`{"a": [1, true]}`)),
			`{"conn_type":"google_cloud_platform","description":"d","host":"H","login":"u","password":"p","schema":"s","port":0,"extra":{"a":[1,true]}}`,
		},
		"absent fields":              {Connection{Type: "s3"}, `{"conn_type":"s3"}`},
		"empty fields":               {connection("s3", "", "", login(""), password(""), extra("")), `{"conn_type":"s3","host":"","login":"","password":"","schema":""}`},
		"a type not yet normalised":  {Connection{Type: "google-cloud-platform"}, `{"conn_type":"google_cloud_platform"}`},
		"text is ASCII":              {Connection{Type: "s3", Host: new("é😀\x00\n\"\\\x7f<&")}, `{"conn_type":"s3","host":"\u00e9\ud83d\ude00\u0000\n\"\\\u007f<&"}`},
		"and so is an extra":         {Connection{Type: "s3"}.with(extra(`{"é":"é"}`)), `{"conn_type":"s3","extra":{"\u00e9":"\u00e9"}}`},
		"an empty object stays text": {Connection{Type: "s3"}.with(extra(`{}`)), `{"conn_type":"s3","extra":"{}"}`},
		"what is no object is text":  {Connection{Type: "s3"}.with(extra(`[1]`)), `{"conn_type":"s3","extra":"[1]"}`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, row.want, string(row.conn.JSON()))
		})
	}
}

func (c Connection) with(change func(*Connection)) Connection {
	change(&c)
	return c
}
