package airflow

import (
	"net/netip"
	"strings"
)

// takeHost is step 5 of ParseURI, and the port.
func (c *Connection) takeHost(held *values, parts uriParts) error {
	host, port, err := splitHostinfo(parts)
	if err != nil {
		return err
	}
	held.host = unquote(lowerToPercent(host))
	if strings.Contains(held.host, "/") {
		held.host = unquote(host)
	}
	if parts.protocol != "" && held.host != "" {
		held.host = parts.protocol + "://" + held.host
	}
	c.Host = &held.host
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
	held.port = number
	c.Port = &held.port
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
