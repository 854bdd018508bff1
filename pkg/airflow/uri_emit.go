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
	schema, extra := orEmpty(c.Schema), revealed(c.Extra)
	out := make([]byte, 0, 256+3*len(extra)) // enough for most
	out = append(append(out, scheme...), "://"...)
	out = c.appendAuthority(out)
	if schema != "" || extra != "" {
		out = appendQuoted(append(out, '/'), schema)
	}
	if extra != "" {
		out = append(out, "?"+extraKey+"="...)
		out = appendQuoted(out, extra)
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
