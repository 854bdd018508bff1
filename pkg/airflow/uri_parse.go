package airflow

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// ParseURI reads a connection from a URI with Airflow's algorithm, which is Python's
// urlsplit with additions, and not net/url's:
//
//  1. Leading control characters and spaces go, and line breaks and tabs anywhere.
//  2. The scheme is the conn_type: lower case, see NormalizeType.
//  3. A second scheme belongs to the host: "http://https://h" is the host "https://h".
//  4. The authority ends at the first "/", "?" or "#"; the last "@" ends the login and
//     password, and the first ":" parts these two.
//  5. The host is lower-cased as far as the first "%", unless it holds a "/".
//  6. The path is the schema. Host and schema are empty, never absent.
//  7. The query is the extra, see readQuery. A fragment is dropped.
//
// Three inputs that Airflow mangles in silence are read as they were meant: a scheme
// with underscores, one whose "//" is missing, and a URL as it is in the query. So is
// one that it refuses: a letter that Unicode's NFKC turns into a separator, such as "℀".
func ParseURI(id, uri string) (Connection, error) {
	if err := checkSize(len(uri)); err != nil {
		return Connection{}, err
	}
	if !utf8.ValidString(uri) {
		return Connection{}, errors.New("reading connection: URI is not UTF-8; percent-encode its bytes")
	}
	parts, err := splitURI(cleanURI(uri))
	if err != nil {
		return Connection{}, err
	}
	conn := Connection{
		ID: id, Type: NormalizeType(strings.ToLower(parts.scheme)),
		Schema: new(unquote(strings.TrimPrefix(parts.path, "/"))),
	}
	conn.takeUserinfo(parts)
	if err := conn.takeHost(parts); err != nil {
		return Connection{}, err
	}
	if conn.Extra, err = readQuery(parts.query); err != nil {
		return Connection{}, err
	}
	return conn, nil
}

// cleanURI is step 1.
func cleanURI(uri string) string {
	uri = strings.TrimLeftFunc(uri, func(char rune) bool { return char <= ' ' })
	if !strings.ContainsAny(uri, "\t\r\n") {
		return uri
	}
	return strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(uri)
}

// uriParts are the parts of a URI as they stand in it. hostAt is the place of
// hostinfo, from 1.
type uriParts struct {
	scheme, protocol   string
	userinfo, hostinfo string
	hasUserinfo        bool
	hostAt             int
	path, query        string
}

// splitURI is steps 2 to 4.
func splitURI(uri string) (uriParts, error) {
	length := strings.IndexByte(uri, ':')
	if length < 0 || !isScheme(uri[:length], "+.-_") {
		return uriParts{}, &FieldError{"conn_type", 1, `is missing; a URI begins with the type and "://"`}
	}
	parts := uriParts{scheme: uri[:length]}
	rest, hasAuthority := strings.CutPrefix(uri[length+1:], "//")
	if !hasAuthority && rest != "" && !strings.ContainsRune("/?#", rune(rest[0])) {
		return uriParts{}, &FieldError{"conn_type", length + 1, `must be followed by "://"`}
	}
	if hasAuthority {
		parts.protocol, rest = cutProtocol(rest)
		end := endOfAuthority(rest)
		if strings.HasSuffix(rest[:end], ":") && strings.HasPrefix(rest[end:], "//") {
			return uriParts{}, &FieldError{"host", len(uri) - len(rest) + end, `stands beside one "://" too many; percent-encode what does not part the URI`}
		}
		parts.splitAuthority(rest[:end], len(uri)-len(rest))
		rest = rest[end:]
	}
	rest, _, _ = strings.Cut(rest, "#")
	parts.path, parts.query, _ = strings.Cut(rest, "?")
	return parts, nil
}

func (p *uriParts) splitAuthority(authority string, before int) {
	at := strings.LastIndexByte(authority, '@')
	p.hasUserinfo = at >= 0
	p.userinfo, p.hostinfo = authority[:max(at, 0)], authority[at+1:]
	p.hostAt = before + at + 2
}

func isScheme(text, punctuation string) bool {
	for i := range len(text) {
		char := text[i] | 0x20
		switch {
		case 'a' <= char && char <= 'z':
		case i > 0 && (isDigit(text[i]) || strings.IndexByte(punctuation, text[i]) >= 0):
		default:
			return false
		}
	}
	return text != ""
}

func isDigit(char byte) bool { return '0' <= char && char <= '9' }

func cutProtocol(rest string) (protocol, after string) {
	before, after, found := strings.Cut(rest, "://")
	if !found || !isScheme(before, "+.-") {
		return "", rest
	}
	return strings.ToLower(before), after
}

func endOfAuthority(rest string) int {
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		return end
	}
	return len(rest)
}

func (c *Connection) takeUserinfo(parts uriParts) {
	if !parts.hasUserinfo {
		return
	}
	login, password, hasPassword := strings.Cut(parts.userinfo, ":")
	c.Login = new(unquote(login))
	if hasPassword {
		c.Password = new(secret.New(unquote(password)))
	}
}

// takeHost is step 5 of ParseURI, and the port.
func (c *Connection) takeHost(parts uriParts) error {
	written, port, err := splitHostinfo(parts)
	if err != nil {
		return err
	}
	host := unquote(lowerToPercent(written))
	if strings.Contains(host, "/") {
		host = unquote(written)
	}
	if parts.protocol != "" && host != "" {
		host = parts.protocol + "://" + host
	}
	c.Host = &host
	if port == "" {
		return nil
	}
	number, ok := readPort(port)
	if !ok && strings.Contains(parts.hostinfo, ",") {
		return &FieldError{"host", parts.hostAt, `has several hosts with a port each, and a URI has room for one port; percent-encode ":" and "," there, or write the connection as JSON`}
	}
	if !ok {
		return &FieldError{"port", parts.hostAt + len(parts.hostinfo) - len(port), portReason +
			`; where it is part of a login or password, percent-encode "/", "?", "#", "@" and ":" there`}
	}
	c.Port = &number
	return nil
}

// splitHostinfo parts host and port. Brackets are for IPv6 alone: where Python
// versions differ over them, the strictest is followed.
func splitHostinfo(parts uriParts) (host, port string, err error) {
	if err := refuseBrackets(parts); err != nil {
		return "", "", err
	}
	if !strings.ContainsAny(parts.hostinfo, "[]") {
		host, port, _ = strings.Cut(parts.hostinfo, ":")
		return host, port, nil
	}
	inner, opened := strings.CutPrefix(parts.hostinfo, "[")
	host, after, closed := strings.Cut(inner, "]")
	address, invalid := netip.ParseAddr(host)
	if !opened || !closed || invalid != nil || !address.Is6() || after != "" && after[0] != ':' {
		return "", "", &FieldError{"host", parts.hostAt, "has brackets and is not an IPv6 address between them"}
	}
	return host, strings.TrimPrefix(after, ":"), nil
}

func refuseBrackets(parts uriParts) error {
	bracket := strings.IndexAny(parts.userinfo, "[]")
	if bracket < 0 {
		return nil
	}
	field := "login"
	if strings.Contains(parts.userinfo[:bracket], ":") {
		field = "password"
	}
	start := parts.hostAt - len("@") - len(parts.userinfo)
	return &FieldError{field, start + bracket, "holds a bracket as it is; percent-encode it"}
}

// lowerToPercent lower-cases as Python does: it takes "%" for the start of an IPv6
// zone, which keeps its case.
func lowerToPercent(host string) string {
	before, _, found := strings.Cut(host, "%")
	if !found {
		return strings.ToLower(host)
	}
	return strings.ToLower(before) + host[len(before):]
}

// readPort takes ASCII digits only, any number of leading zeros, no sign.
func readPort(digits string) (uint16, bool) {
	number := 0
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return 0, false
		}
		if number = number*10 + int(digits[i]-'0'); number > 0xffff {
			return 0, false
		}
	}
	return uint16(number), true
}
