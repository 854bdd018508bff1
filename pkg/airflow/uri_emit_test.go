package airflow

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestURI(t *testing.T) {
	for name, row := range map[string]struct {
		conn Connection
		want string
	}{
		"everything": {
			connection("google_cloud_platform", "h", "s", login("u"), password("p"), port(5432), extra(`{"a":1}`), described("not in a URI")),
			"google-cloud-platform://u:p@h:5432/s?__extra__=%7B%22a%22%3A1%7D",
		},
		"nothing but the type":             {Connection{Type: "aws"}, "aws://"},
		"an extra and no schema":           {connection("aws", "", "", extra(`{}`)), "aws:///?__extra__=%7B%7D"},
		"an empty extra":                   {connection("aws", "", "", extra("")), "aws://"},
		"an extra of strings is not pairs": {connection("aws", "", "", extra(`{"a":"5"}`)), "aws:///?__extra__=%7B%22a%22%3A%225%22%7D"},
		"an upper-case host":               {connection("s3", "db.Example.COM", ""), "s3://db.%45xample.COM"},
		"an upper-case host behind others": {connection("s3", "a bC", ""), "s3://a%20bC"},
		"a host with a protocol":           {connection("http", "https://Host", "", port(8443)), "http://https%3A%2F%2FHost:8443"},
		"the protocol that the type has":   {connection("http", "http://h", ""), "http://http%3A%2F%2Fh"},
		"an IPv6 address":                  {connection("s3", "::1", "", port(1)), "s3://%3A%3A1:1"},
		"an absolute path":                 {connection("sqlite", "", "/abs/x"), "sqlite:///%2Fabs%2Fx"},
		"a password alone":                 {connection("redis", "h", "", password("p")), "redis://:p@h"},
		"an empty password":                {connection("s3", "h", "", login("u"), password("")), "s3://u:@h"},
		"an empty login":                   {connection("s3", "h", "", login("")), "s3://@h"},
		"port 0":                           {connection("s3", "h", "", port(0)), "s3://h:0"},
		"a port alone":                     {connection("s3", "", "", port(1)), "s3://:1"},
		"every byte of a password":         {connection("s3", "h", "", login("u"), password(" %+/?#@:\n\x00é")), "s3://u:%20%25%2B%2F%3F%23%40%3A%0A%00%C3%A9@h"},
		"a type not yet normalised":        {Connection{Type: "postgresql"}, "postgres://"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := row.conn.URI()
			require.NoError(t, err)
			assert.Equal(t, row.want, got)
		})
	}
}

func TestURIRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		conn Connection
		want string
		json bool // whether JSON can carry it
	}{
		"an upper-case type":           {Connection{Type: "MySQL"}, `no URI can carry this connection: field "conn_type" may hold lower-case letters`, true},
		"a type beginning in digits":   {Connection{Type: "1a"}, "no URI can carry this connection", true},
		"an underscore in front":       {Connection{Type: "_a"}, "no URI can carry this connection", true},
		"a space in the type":          {Connection{Type: "a b"}, "no URI can carry this connection", true},
		"no type":                      {Connection{}, `field "conn_type": is missing; every connection needs a type`, false},
		"an extra with a mistake":      {connection("s3", "", "", extra("[,]")), `field "extra": begins as JSON and is none`, false},
		"an extra that is not UTF-8":   {connection("s3", "", "", extra("{\"a\":\"\xff\"}")), `field "extra": is not UTF-8`, false},
		"a host that is not UTF-8":     {connection("s3", "\xff", ""), `field "host": is not UTF-8; Airflow holds text only`, false},
		"a password that is not UTF-8": {connection("s3", "", "", password("\xff")), `field "password": is not UTF-8; Airflow holds text only`, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := row.conn.URI()
			require.ErrorContains(t, err, row.want)
			assert.Empty(t, got)
			if row.json {
				assert.ErrorIs(t, err, ErrNotURI)
			} else {
				assert.NotErrorIs(t, err, ErrNotURI)
			}
		})
	}
}
