package airflow

import (
	"fmt"
	"strconv"
	"strings"
)

// URI is the connection as a URI that every version of Airflow from 2.1 on, the first
// to know __extra__, reads back as this connection: a hyphenated scheme, the extra
// whole in __extra__, everything else percent-encoded, a protocol in the host as well.
//
// A URI has no place for the description, which no hook reads, and says neither of
// host and schema nor of a login before a password that they are absent: these read
// back as empty, as from Airflow's own URIs.
//
// The error wraps ErrNotURI where JSON is to be delivered instead; else it is what
// Validate says.
func (c Connection) URI() (string, error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	scheme := strings.ReplaceAll(NormalizeType(c.Type), "_", "-")
	if !isScheme(scheme, "+.-") || scheme != strings.ToLower(scheme) {
		return "", fmt.Errorf("%w: field %q may hold lower-case letters, digits and . + _ there, a letter first",
			ErrNotURI, "conn_type")
	}
	out := make([]byte, 0, c.sizeOfURI(scheme))
	out = append(append(out, scheme...), "://"...)
	out = c.appendAuthority(out)
	hasExtra := c.Extra != nil && c.Extra.Len() > 0
	if schema := orEmpty(c.Schema); schema != "" || hasExtra {
		out = appendQuoted(append(out, '/'), schema)
	}
	if hasExtra {
		out = append(out, "?"+extraKey+"="...)
		out = appendQuoted(out, c.Extra.Reveal())
	}
	return string(out), nil
}

func (c Connection) appendAuthority(out []byte) []byte {
	if c.Login != nil {
		out = appendQuoted(out, *c.Login)
	}
	if c.Password != nil {
		out = appendQuoted(append(out, ':'), c.Password.Reveal())
	}
	if c.Login != nil || c.Password != nil {
		out = append(out, '@')
	}
	out = appendHost(out, orEmpty(c.Host))
	if c.Port != nil {
		out = strconv.AppendUint(append(out, ':'), uint64(*c.Port), 10)
	}
	return out
}

// sizeOfURI is enough for a URI whose text is percent-encoded throughout.
func (c Connection) sizeOfURI(scheme string) int {
	size := len(scheme) + len(orEmpty(c.Login)) + len(orEmpty(c.Host)) + len(orEmpty(c.Schema))
	if c.Password != nil {
		size += c.Password.Len()
	}
	if c.Extra != nil {
		size += c.Extra.Len()
	}
	return 3*size + len("://:@:65535/?"+extraKey+"=")
}
