package airflow

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// connection builds what a URI reads as: host and schema are never absent.
func connection(connType, host, schema string, change ...func(*Connection)) Connection {
	conn := Connection{ID: "id", Type: connType, Host: &host, Schema: &schema}
	for _, each := range change {
		each(&conn)
	}
	return conn
}

func login(text string) func(*Connection) { return func(c *Connection) { c.Login = &text } }
func port(number uint16) func(*Connection) {
	return func(c *Connection) { c.Port = &number }
}
func password(text string) func(*Connection) {
	return func(c *Connection) { c.Password = new(secret.New(text)) }
}
func extra(text string) func(*Connection) {
	return func(c *Connection) { c.Extra = new(secret.New(text)) }
}
func described(text string) func(*Connection) { return func(c *Connection) { c.Description = &text } }

type uriRow struct {
	uri  string
	want Connection
}

// asAirflow are URIs that Airflow reads as we do.
func asAirflow() map[string]uriRow {
	return map[string]uriRow{
		// The examples of Airflow's page on connections, in our words.
		"everything": {
			"my-conn-type://login:password@host:5432/schema?param1=val1&param2=val2",
			connection("my_conn_type", "host", "schema", login("login"), password("password"), port(5432), extra(`{"param1":"val1","param2":"val2"}`)),
		},
		"a password with slashes": {
			"my-conn-type://my-login:my-pa%2Fssword@my-host:5432/my-schema?param1=val1",
			connection("my_conn_type", "my-host", "my-schema", login("my-login"), password("my-pa/ssword"), port(5432), extra(`{"param1":"val1"}`)),
		},
		"extra alone": {
			"my-conn-type:///?__extra__=%7B%22my_val%22%3A+%5B%22list%22%5D%7D",
			connection("my_conn_type", "", "", extra(`{"my_val":["list"]}`)),
		},
		"parameters with blanks and stars": {
			"mysql://myname:mypassword@myhost.com?this_param=some+val&that_param=other+val%2A",
			connection("mysql", "myhost.com", "", login("myname"), password("mypassword"), extra(`{"this_param":"some val","that_param":"other val*"}`)),
		},
		"a path as the host": {
			"sqlite://%2Ftmp%2Fdefault.db",
			connection("sqlite", "/tmp/default.db", ""),
		},
		// Those of the providers' pages.
		"nothing but the type": {
			"aws://",
			connection("aws", "", ""),
		},
		"a key pair without a host": {
			"aws://KEY:SEC%2FRET@",
			connection("aws", "", "", login("KEY"), password("SEC/RET")),
		},
		"a key pair and a nested extra": {
			"aws://KEY:SEC%2FRET@/?__extra__=%7B%22region_name%22%3A+%22eu-central-1%22%2C+%22config_kwargs%22%3A+%7B%22retries%22%3A+%7B%22max_attempts%22%3A+10%7D%7D%7D",
			connection("aws", "", "", login("KEY"), password("SEC/RET"), extra(`{"region_name":"eu-central-1","config_kwargs":{"retries":{"max_attempts":10}}}`)),
		},
		"an at sign alone": {
			"aws://@/?region_name=eu-west-1",
			connection("aws", "", "", login(""), extra(`{"region_name":"eu-west-1"}`)),
		},
		"nothing but extra, without a path": {
			"google-cloud-platform://?key_path=%2Fkeys%2Fkey.json&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform&project=airflow&num_retries=5",
			connection("google_cloud_platform", "", "", extra(`{"key_path":"/keys/key.json","scope":"https://www.googleapis.com/auth/cloud-platform","project":"airflow","num_retries":"5"}`)),
		},
		"files of certificates": {
			"postgresql://user:XXXX@1.1.1.1:5432/db?sslmode=verify-ca&sslcert=%2Ftmp%2Fclient-cert.pem",
			connection("postgres", "1.1.1.1", "db", login("user"), password("XXXX"), port(5432), extra(`{"sslmode":"verify-ca","sslcert":"/tmp/client-cert.pem"}`)),
		},
		"blanks in every part": {
			"wasb://blob%20username:blob%20password@myblob.com?tenant_id=tenant+id",
			connection("wasb", "myblob.com", "", login("blob username"), password("blob password"), extra(`{"tenant_id":"tenant id"}`)),
		},
		"an extra of nested objects": {
			"scheme://user:password@host%2Flocation:1234/schema?__extra__=%7B%22a%22%3A%7B%22b%22%3A1%7D%7D",
			connection("scheme", "host/location", "schema", login("user"), password("password"), port(1234), extra(`{"a":{"b":1}}`)),
		},

		// 1. What is cut away
		"leading space and control characters": {" \x00\x1fs3://h", connection("s3", "h", "")},
		"line breaks and tabs anywhere":        {"s\t3://u:p\nw@h\r/x", connection("s3", "h", "x", login("u"), password("pw"))},

		// 2. The scheme
		"postgresql is postgres":             {"postgresql://h", connection("postgres", "h", "")},
		"dashes are underscores":             {"google-cloud-platform://", connection("google_cloud_platform", "", "")},
		"upper case":                         {"MySQL://h", connection("mysql", "h", "")},
		"plus and dot":                       {"a+b.c://h", connection("a+b.c", "h", "")},
		"postgresql with a driver is a type": {"postgresql+psycopg2://h", connection("postgresql+psycopg2", "h", "")},
		"no slashes and a path":              {"sqlite:/abs", connection("sqlite", "", "abs")},
		"dashes, no slashes":                 {"google-cloud-platform:?a=b", connection("google_cloud_platform", "", "", extra(`{"a":"b"}`))},

		// 3. The protocol of the host
		"a host with a protocol":             {"http://https://h:8443/", connection("http", "https://h", "", port(8443))},
		"credentials after the protocol":     {"http://https://u:p@h:8443/", connection("http", "https://h", "", login("u"), password("p"), port(8443))},
		"a protocol, percent-encoded":        {"http://https%3A%2F%2FHost", connection("http", "https://Host", "")},
		"a protocol and no host is no host":  {"http://https://", connection("http", "", "")},
		"a protocol with underscores is not": {"http://a_b:1", connection("http", "a_b", "", port(1))},

		// 4. Login and password
		"the last at sign, the first colon": {"s3://a:b:c@d@h", connection("s3", "h", "", login("a"), password("b:c@d"))},
		"no password":                       {"s3://u@h", connection("s3", "h", "", login("u"))},
		"an empty password":                 {"s3://u:@h", connection("s3", "h", "", login("u"), password(""))},
		"an empty login":                    {"s3://:p@h", connection("s3", "h", "", login(""), password("p"))},
		"both empty":                        {"s3://:@h", connection("s3", "h", "", login(""), password(""))},
		"only an at sign":                   {"s3://@h", connection("s3", "h", "", login(""))},
		"plus stays plus":                   {"s3://a+b:c+d@h", connection("s3", "h", "", login("a+b"), password("c+d"))},
		"bad escapes stay":                  {"s3://u:%zz%4%@h", connection("s3", "h", "", login("u"), password("%zz%4%"))},
		"escapes that are not UTF-8":        {"s3://u:%FF%E2%82a@h", connection("s3", "h", "", login("u"), password("\ufffd\ufffda"))},
		"an encoded NUL":                    {"s3://u:%00@h", connection("s3", "h", "", login("u"), password("\x00"))},

		// 5. Host and port
		"upper case is lost":                 {"s3://DB.Example.COM", connection("s3", "db.example.com", "")},
		"but not after a percent sign":       {"s3://DB%2EExample.COM", connection("s3", "db.Example.COM", "")},
		"nor behind an escaped first letter": {"s3://%44B.Example.COM", connection("s3", "DB.Example.COM", "")},
		"nor beside a slash":                 {"s3://Bucket%2FKey", connection("s3", "Bucket/Key", "")},
		"an IPv6 address":                    {"s3://[2001:DB8::1]:5", connection("s3", "2001:db8::1", "", port(5))},
		"an IPv6 address with a zone":        {"s3://[fe80::1%25Eth0]", connection("s3", "fe80::1%Eth0", "")},
		"an IPv6 address, percent-encoded":   {"s3://2001%3Adb8%3A%3A1:5", connection("s3", "2001:db8::1", "", port(5))},
		"a port alone":                       {"s3://:5432", connection("s3", "", "", port(5432))},
		"port 0":                             {"s3://h:0", connection("s3", "h", "", port(0))},
		"a port with zeros in front":         {"s3://h:00080", connection("s3", "h", "", port(80))},
		"a colon and no port":                {"s3://h:", connection("s3", "h", "")},
		"the highest port":                   {"s3://h:65535", connection("s3", "h", "", port(65535))},

		// 6. The schema
		"an absolute path":   {"sqlite:////abs/x", connection("sqlite", "", "/abs/x")},
		"a relative path":    {"sqlite:///abs/x", connection("sqlite", "", "abs/x")},
		"escapes in it":      {"s3://h/a%2Fb%20c", connection("s3", "h", "a/b c")},
		"parameters stay":    {"s3://h/a;b=c", connection("s3", "h", "a;b=c")},
		"a fragment is lost": {"s3://h/a#b?c=d", connection("s3", "h", "a")},

		// 7. The query
		"values stay strings":         {"s3://?n=5&b=true&e=", connection("s3", "", "", extra(`{"n":"5","b":"true","e":""}`))},
		"plus is a space":             {"s3://?a+b=c+d%2B", connection("s3", "", "", extra(`{"a b":"c d+"}`))},
		"the last of two wins":        {"s3://?a=1&b=2&a=3", connection("s3", "", "", extra(`{"a":"3","b":"2"}`))},
		"a key without a value":       {"s3://?a", connection("s3", "", "", extra(`{"a":""}`))},
		"a semicolon parts nothing":   {"s3://?a=1;b=2", connection("s3", "", "", extra(`{"a":"1;b=2"}`))},
		"__extra__ replaces the rest": {"s3://?a=1&__extra__=%7B%22b%22%3A2%7D", connection("s3", "", "", extra(`{"b":2}`))},
		"a blank __extra__ is none":   {"s3://?a=1&__extra__=", connection("s3", "", "")},
		"a query of no pairs":         {"s3://?&", connection("s3", "", "", extra(`{}`))},
		"an empty query":              {"s3://h?", connection("s3", "h", "")},
		"beyond ASCII":                {"s3://?k=%C3%A9%F0%9F%98%80", connection("s3", "", "", extra(`{"k":"\u00e9\ud83d\ude00"}`))},
	}
}

// asMeant are URIs that Airflow reads as something else, or not at all.
func asMeant() map[string]uriRow {
	return map[string]uriRow{
		"underscores":                            {"google_cloud_platform://?project=p", connection("google_cloud_platform", "", "", extra(`{"project":"p"}`))},
		"underscores, no slashes":                {"google_cloud_platform:?__extra__=%7B%22a%22%3A1%7D", connection("google_cloud_platform", "", "", extra(`{"a":1}`))},
		"underscores, slashes, all parts":        {"azure_data_lake://u:p@H:1/s?a=b", connection("azure_data_lake", "h", "s", login("u"), password("p"), port(1), extra(`{"a":"b"}`))},
		"underscores and nothing else":           {"google_cloud_platform:", connection("google_cloud_platform", "", "")},
		"a URL as it is in the query":            {"aws://k:s@/?endpoint_url=http://localhost:4566", connection("aws", "", "", login("k"), password("s"), extra(`{"endpoint_url":"http://localhost:4566"}`))},
		"the scheme again in the query":          {"http://h/?next=http://x", connection("http", "h", "", extra(`{"next":"http://x"}`))},
		"more than two protocols with the query": {"http://https://h/?a=ftp://x&b=ftp://y", connection("http", "https://h", "", extra(`{"a":"ftp://x","b":"ftp://y"}`))},

		"the protocol that the type has": {"http://http://h", connection("http", "http://h", "")},

		"a letter that Unicode makes a separator": {"s3://u:p\u2100w@h", connection("s3", "h", "", login("u"), password("p\u2100w"))},
		"a wide at sign": {"s3://a\uff20b@h", connection("s3", "h", "", login("a\uff20b"))},
	}
}

func TestParseURI(t *testing.T) {
	rows := asAirflow()
	maps.Copy(rows, asMeant())
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, err := ParseURI("id", row.uri)
			require.NoError(t, err)
			assertSameConnection(t, row.want, got)
		})
	}
}

// assertSameConnection compares fields by readingOf: testify would print "[redacted]"
// for both passwords.
func assertSameConnection(t *testing.T, want, got Connection) {
	t.Helper()
	assert.Equal(t, want.ID, got.ID)
	assert.Equal(t, readingOf(want), readingOf(got))
}

func TestParseURIRefuses(t *testing.T) {
	for name, row := range map[string]struct{ uri, want string }{
		"nothing":                    {"", `field "conn_type" at byte 1: is missing; a URI begins with the type and "://"`},
		"no type":                    {"//h/s", `field "conn_type" at byte 1: is missing; a URI begins with the type and "://"`},
		"a type beginning in digits": {"1a://h", `field "conn_type" at byte 1: is missing; a URI begins with the type and "://"`},
		"an underscore in front":     {"_a://h", `field "conn_type" at byte 1: is missing; a URI begins with the type and "://"`},
		"a letter beyond ASCII":      {"é://h", `field "conn_type" at byte 1: is missing; a URI begins with the type and "://"`},
		"text behind the colon":      {"mysql:h", `field "conn_type" at byte 6: must be followed by "://"`},
		"a port too high":            {"s3://h:65536/", `field "port" at byte 8: must be a whole number from 0 to 65535; where it is part of a login or password, percent-encode "/", "?", "#", "@" and ":" there`},
		"a signed port":              {"s3://h:-1", `field "port" at byte 8: must be`},
		"digits beyond ASCII":        {"s3://h:٣", `field "port" at byte 8: must be`},
		"a raw slash in a password":  {"s3://u:p/w@h", `field "port" at byte 8: must be`},
		"a raw # in a password":      {"s3://u:p#w@h", `field "port" at byte 8: must be`},
		"one protocol too many":      {"s3://u:p://w@h", `field "host" at byte 9: stands beside one "://" too many`},
		"brackets in a password":     {"s3://u:p[x]@h", `field "password" at byte 9: holds a bracket as it is; percent-encode it`},
		"a bracket in a login":       {"s3://u]:p@h", `field "login" at byte 7: holds a bracket as it is; percent-encode it`},
		"brackets around a name":     {"s3://[h]", `field "host" at byte 6: has brackets and is not an IPv6 address between them`},
		"brackets around IPv4":       {"s3://[127.0.0.1]", `field "host" at byte 6: has brackets`},
		"a bracket left open":        {"s3://[::1", `field "host" at byte 6: has brackets`},
		"text before the brackets":   {"s3://a[::1]", `field "host" at byte 6: has brackets`},
		"text behind the brackets":   {"s3://[::1]a", `field "host" at byte 6: has brackets`},
		"several hosts":              {"mongodb://u:p@a:1,b:2/", `field "host" at byte 15: has several hosts with a port each`},
		"hosts and one port":         {"mongodb://a,b:2x/", `field "host" at byte 11: has several hosts`},
		"an extra that is no JSON":   {"s3://?__extra__={a", `field "extra": begins as JSON and is none; correct it`},
		"an extra that nests deep":   {"s3://?__extra__=" + strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 300), `field "extra": begins as JSON and is none`},
		"too many pairs":             {"s3://?" + manyPairs(513), `field "extra": has more than 512 query pairs; use __extra__`},
		"bytes that are not UTF-8":   {"s3://u:\xff@h", "reading connection: URI is not UTF-8; percent-encode its bytes"},
		"more than a mebibyte":       {"s3://" + strings.Repeat("h", 1<<20), "reading connection: text of 1048581 bytes is longer than 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseURI("id", row.uri)
			require.ErrorContains(t, err, row.want)
			assert.Zero(t, got)
		})
	}
}

func manyPairs(count int) string {
	var pairs strings.Builder
	for i := range count {
		pairs.WriteString("&k" + strings.Repeat("x", i))
	}
	return pairs.String()
}

func TestParse(t *testing.T) {
	fromURI, err := Parse("id", " \u00a0\x1cs3://h\n\x1f ")
	require.NoError(t, err)
	assertSameConnection(t, connection("s3", "h", ""), fromURI)

	fromJSON, err := Parse("id", "\n {\"conn_type\": \"s3\"} ")
	require.NoError(t, err)
	assertSameConnection(t, Connection{ID: "id", Type: "s3"}, fromJSON)

	_, err = Parse("id", " \n")
	assert.EqualError(t, err, "reading connection: text is empty; give a URI or a JSON object")
}
