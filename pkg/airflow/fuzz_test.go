package airflow

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func FuzzParseURI(f *testing.F) {
	for _, uri := range []string{
		"my-conn-type://login:pa%2Fssword@host:5432/schema?param1=val1&param2=val2",
		"google_cloud_platform:?__extra__=%7B%22a%22%3A1%7D",
		"http://https://u:p@h:8443/",
		"s3://[fe80::1%25Eth0]:0/%2Fabs?a+b=c&a%20b=%FF#x",
		"s3://%44B.Example.COM/%00",
	} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		conn, err := ParseURI("id", uri)
		if err != nil {
			assert.Zero(t, conn)
			return
		}
		emitted, err := conn.URI()
		require.NoError(t, err, "what came in a URI goes out in one")
		assertSameReread(t, conn, emitted)
		assertSameReread(t, conn, string(conn.JSON()))
	})
}

func FuzzParseJSON(f *testing.F) {
	for _, text := range []string{
		`{"conn_type":"my-conn-type","login":"l","password":"p","host":"H","port":1234,"schema":"s","extra":{"a":[1.50,"é"]}}`,
		`{"conn_type":"MySQL","extra":"{}","port":"5432","host":""}`,
		`{"uri":"s3://h"}`,
		`{"conn_type":"s3","password":"\ud83d\ude00\u0000","extra":"{\"a\": \" \\\" \"}"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		conn, err := ParseJSON("id", text)
		if err != nil {
			assert.Zero(t, conn)
			return
		}
		require.NoError(t, conn.Validate())
		assertSameReread(t, conn, string(conn.JSON()))
		uri, err := conn.URI()
		if err != nil {
			assert.ErrorIs(t, err, ErrNotURI)
			return
		}
		again, err := ParseURI("id", uri)
		require.NoError(t, err)
		assert.Equal(t, readingOf(conn).asURI(), readingOf(again))
	})
}

func assertSameReread(t *testing.T, conn Connection, text string) {
	t.Helper()
	again, err := Parse("id", text)
	require.NoError(t, err)
	assertSameConnection(t, conn, again)
}

// TestErrorsHoldNoValue breaks a connection full of needles in one place after the
// other.
func TestErrorsHoldNoValue(t *testing.T) {
	const needle = "n33dle"
	uri := "s3://n33dle:n33dle@n33dle:5432/n33dle?__extra__=%7B%22a%22%3A%22n33dle%22%7D"
	text := `{"conn_type":"s3","host":"n33dle","login":"n33dle","password":"n33dle","schema":"n33dle","port":"5432","extra":"{\"a\":\"n33dle\"}"}`
	broken := 0
	for _, whole := range []string{uri, text} {
		for i := range whole {
			for _, piece := range []string{"", "x", "\xff", "[", "]", "://", "\\", "\"", "{", ":x", "/", "%5B"} {
				for _, change := range []string{whole[:i] + piece + whole[i:], whole[:i] + piece, whole[:i] + piece + whole[i+1:]} {
					conn, err := Parse("id", change)
					if err != nil {
						broken++
						assert.NotContains(t, err.Error(), needle, change)
					}
					assert.NotContains(t, fmt.Sprintf("%v %+v %#v", conn, conn, conn), needle)
				}
			}
		}
	}
	assert.Greater(t, broken, 500)
}
