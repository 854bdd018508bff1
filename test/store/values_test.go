//go:build store

package store

import (
	"maps"
	"slices"
	"strings"
)

// uris are values of connections by id, in the form of a URI, or of what is no JSON at least.
var uris = map[string]string{
	"uri":             "postgres://user:pass@host.example.com:5432/db",
	"uri_scheme":      "postgresql://h/d",
	"uri-dash":        "google-cloud-platform://",
	"uri_extra":       "aws://?__extra__=%7B%22region_name%22%3A+%22eu-west-1%22%2C+%22n%22%3A+1%7D",
	"uri_query":       "mysql://u@h/d?charset=utf8&n=1&flag=true",
	"uri_query_twice": "mysql://h/d?a=1&a=2",
	"uri_query_blank": "mysql://h/d?a=",
	"uri_both":        "mysql://h/d?a=1&__extra__=%7B%7D",
	"uri_encoded":     "postgres://us%40er:p%2Fa%3As%40s@h%2Fost/d%20b",
	"uri_plus":        "postgres://u:p+q@h/d",
	"uri_upper":       "postgres://DB.Example.COM/D",
	"uri_ipv6":        "postgres://[2001:db8::1]:5432/d",
	"uri_two":         "http://https://u:p@h:8443/path",
	"uri_port_zero":   "http://h:0/",
	"uri_port_empty":  "http://h:/",
	"uri_port_bad":    "http://h:99999/",
	"uri_port_text":   "http://h:x/",
	"uri_no_host":     "fs:///absolute/path",
	"uri_sqlite":      "sqlite:////tmp/x.db",
	"uri_no_password": "ssh://u:@h",
	"uri_no_login":    "redis://:p@h",
	"uri_blanks":      "  postgres://h/d  ",
	"uri_newline":     "postgres://h/d\n",
	"uri_crlf":        "postgres://h/d\r\n",
	"uri_fragment":    "http://h/p#f",
	"uri_unicode":     "postgres://ü:pässwörd@höst/d",
	"uri_percent":     "postgres://u:100%@h/d",
	"text":            "just text",
	"list":            "[1, 2]",
	"quoted":          `"postgres://h/d"`,
}

// objects are values of connections in the form of JSON.
var objects = map[string]string{
	"all":              `{"conn_type": "postgres", "host": "h", "login": "l", "password": "p", "schema": "s", "port": 5432, "extra": {"sslmode": "require", "n": 1, "deep": {"a": [1, null]}}}`,
	"description":      `{"conn_type": "http", "description": "what it is"}`,
	"extra_text":       `{"conn_type": "aws", "extra": "{\"region_name\": \"eu-west-1\"}"}`,
	"extra_plain":      `{"conn_type": "aws", "extra": "no JSON"}`,
	"extra_list":       `{"conn_type": "aws", "extra": [1]}`,
	"extra_null":       `{"conn_type": "aws", "extra": null}`,
	"extra_empty":      `{"conn_type": "aws", "extra": {}}`,
	"extra_blank":      `{"conn_type": "aws", "extra": ""}`,
	"extra_unicode":    `{"conn_type": "aws", "extra": {"ключ": "ä"}}`,
	"port_text":        `{"conn_type": "http", "port": "80"}`,
	"port_zero":        `{"conn_type": "http", "port": 0}`,
	"port_blank":       `{"conn_type": "http", "port": ""}`,
	"port_bad":         `{"conn_type": "http", "port": "x"}`,
	"port_large":       `{"conn_type": "http", "port": 70000}`,
	"type_alias":       `{"conn_type": "postgresql"}`,
	"type_dash":        `{"conn_type": "google-cloud-platform"}`,
	"type_upper":       `{"conn_type": "HTTP"}`,
	"nulls":            `{"conn_type": "http", "host": null, "login": null, "password": null, "schema": null, "port": null}`,
	"blanks":           `{"conn_type": "http", "host": "", "login": "", "password": "", "schema": ""}`,
	"spaces":           `{"conn_type": "http", "host": " h ", "password": " p\n"}`,
	"unicode":          `{"conn_type": "http", "login": "ü", "password": "\u00e4\ud83d\ude00"}`,
	"encoded":          `{"conn_type": "http", "password": "p%40ss"}`,
	"unknown":          `{"conn_type": "http", "host": "h", "hots": "x"}`,
	"conn_id_inside":   `{"conn_id": "x", "conn_type": "http"}`,
	"uri_key":          `{"uri": "postgres://h/d"}`,
	"uri_key_and_more": `{"uri": "postgres://h/d", "login": "x"}`,
	"empty_object":     `{}`,
	"no_type":          `{"host": "h", "login": "l"}`,
	"host_number":      `{"conn_type": "http", "host": 5}`,
	"login_true":       `{"conn_type": "http", "login": true}`,
	"upper_keys":       `{"CONN_TYPE": "http"}`,
	"long":             `{"conn_type": "http", "password": "` + strings.Repeat("x", 32<<10) + `"}`,
}

// aliased are values that Secrets Manager's class reads by other words.
var aliased = map[string]string{
	"alias_user":     `{"engine": "postgres", "user": "u", "pass": "p", "server": "h", "database": "d"}`,
	"alias_username": `{"connection_type": "mysql", "username": "u", "key": "p", "remote_host": "h", "schema": "s"}`,
	"alias_order":    `{"user_name": "first", "login": "second", "conn_type": "http", "password": "a", "pass": "b"}`,
	"alias_of_type":  `{"engine": "postgres", "conn_type": "mysql"}`,
	"rds":            `{"engine": "postgres", "host": "h.rds.amazonaws.com", "port": 5432, "username": "u", "password": "p", "dbname": "d", "dbInstanceIdentifier": "i"}`,
	"word":           `{"conn_type": "http", "mylogin": "u", "benutzer": "b", "dbname": "d"}`,
	"twice":          `{"conn_type": "http", "login": "a", "login": "b"}`,
	"broken":         `{"conn_type": "http",`,
	"indented":       "\n  {\"conn_type\": \"http\", \"host\": \"h\"}\n",
	"marked":         "\ufeff{\"conn_type\": \"http\"}",
}

// special are ids that names are hard to make of. Each is a connection to a host of its own, and a variable
// with the id for its value.
var special = []string{"a_b", "a-b", "A_b", "a.b", "a/b", "UPPER", "dot.", "x--y", "__", strings.Repeat("n", 128)}

// texts are values of variables.
var texts = map[string]string{
	"v_text": "text", "v_blanks": "  text \n", "v_json": `{"a": 1}`, "v_number": "5", "v_lines": "a\r\nb\n", "v_unicode": "äöü😀",
	"v_quotes": `"quoted"`, "v_long": strings.Repeat("y", 32<<10), "v_null": "null",
}

// absent are ids of nothing.
var absent = []string{"absent", "absent/deep", "absent.dot", "Uri"}

// hostOf makes a host of an id.
func hostOf(id string) string {
	return "h-" + strings.Map(func(char rune) rune {
		if 'a' <= char && char <= 'z' {
			return char
		}
		return 'x'
	}, id)
}

func keysOf[T any](table map[string]T) []string { return slices.Sorted(maps.Keys(table)) }
