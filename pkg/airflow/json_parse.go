package airflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// ParseJSON reads a connection from the JSON object that AIRFLOW_CONN_<ID> may hold:
// conn_type, description, host, login, password, schema, port and extra, or a
// uri, with a description or alone. Null is absent. A field unknown to Airflow is an error, as it is there.
func ParseJSON(id string, text []byte) (Connection, error) {
	if err := checkSize(len(text)); err != nil {
		return Connection{}, err
	}
	members, err := connectionMembers(text)
	if err != nil {
		return Connection{}, fmt.Errorf("reading connection as JSON: %w", err)
	}
	if uri, description := loneURI(members); uri != nil {
		return parseLoneURI(id, *uri, description)
	}
	conn := Connection{ID: id}
	for _, member := range members {
		if err := conn.take(member); err != nil {
			return Connection{}, err
		}
	}
	if err := conn.checkType(); err != nil {
		return Connection{}, err
	}
	return conn, nil
}

// maxMembers is more than there are fields, so that what has more holds an unknown one.
const maxMembers = 16

func connectionMembers(text []byte) ([]jsontext.Member, error) {
	members, err := jsontext.ParseObject(text)
	if err != nil {
		return nil, err
	}
	for i, member := range members[:min(len(members), maxMembers)] {
		if slices.ContainsFunc(members[:i], func(earlier jsontext.Member) bool { return earlier.Key == member.Key }) {
			return nil, fieldError(member, "is given twice; remove one")
		}
	}
	return members, nil
}

// loneURI is the URI of an object that holds nothing else but, it may be, a description,
// which Airflow takes beside it.
func loneURI(members []jsontext.Member) (uri, description *jsontext.Member) {
	for i, member := range members {
		switch member.Key {
		case "uri":
			uri = &members[i]
		case "description":
			description = &members[i]
		default:
			return nil, nil
		}
	}
	return uri, description
}

func parseLoneURI(id string, uri jsontext.Member, description *jsontext.Member) (Connection, error) {
	text, err := textOf(uri)
	switch {
	case err != nil:
		return Connection{}, err
	case text == nil:
		return Connection{}, fieldError(uri, "is null; give a URI, or the fields of the connection")
	}
	conn, err := ParseURI(id, *text)
	if err == nil && description != nil {
		conn.Description, err = textOf(*description)
	}
	if err != nil {
		return Connection{}, err
	}
	return conn, nil
}

func (c *Connection) take(member jsontext.Member) (err error) {
	switch member.Key {
	case "conn_type":
		var text *string
		text, err = textOf(member)
		c.Type = NormalizeType(orEmpty(text))
	case "description":
		c.Description, err = textOf(member)
	case "host":
		c.Host, err = textOf(member)
	case "login":
		c.Login, err = textOf(member)
	case "schema":
		c.Schema, err = textOf(member)
	case "password":
		c.Password, err = passwordOf(member)
	case "port":
		c.Port, err = portOf(member)
	case "extra":
		c.Extra, err = extraOf(member)
	case "uri":
		err = fieldError(member, "stands beside no field but description; remove it or the other fields")
	case "team_name":
		err = fieldError(member, "is of Airflow's teams, and no entry here has a team; remove it")
	default:
		err = fieldError(member, "is not a field of a connection; Airflow knows conn_type, description, host, login, password, schema, port, extra and uri")
	}
	return err
}

// textOf is nil for null.
func textOf(member jsontext.Member) (*string, error) {
	if string(member.Value) == "null" {
		return nil, nil
	}
	if member.Value[0] != '"' {
		return nil, fieldError(member, "must be a string; put it in quotes")
	}
	text, err := member.Text()
	if err != nil {
		return nil, fieldError(member, err.Error())
	}
	return &text, nil
}

func passwordOf(member jsontext.Member) (*secret.Text, error) {
	text, err := textOf(member)
	if text == nil {
		return nil, err
	}
	return new(secret.New(*text)), nil
}

const portReason = "must be a whole number from 0 to 65535"

// portOf reads a number or, as Airflow does, a number in quotes; empty quotes are no port.
func portOf(member jsontext.Member) (*uint16, error) {
	digits := string(member.Value)
	if digits[0] == '"' {
		text, err := textOf(member)
		if err != nil {
			return nil, err
		}
		digits = strings.TrimSpace(*text)
	}
	if digits == "null" || digits == "" {
		return nil, nil
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil, fieldError(member, portReason)
	}
	return new(uint16(port)), nil
}

// extraOf drops what Python takes for false, as Airflow does.
func extraOf(member jsontext.Member) (*secret.Text, error) {
	switch written := string(member.Value); {
	case written == "null" || written == "false" || written == `""` || isEmptyJSON(written):
		return nil, nil
	case written[0] == '{' && member.HasLoneSurrogate():
		return nil, fieldError(member, surrogateReason)
	case written[0] == '{':
		return new(secret.New(canonical(member.Item))), nil
	case written[0] != '"':
		return nil, fieldError(member, "must be a JSON object, such as {\"key\": \"value\"}, or text")
	}
	text, err := textOf(member)
	if err != nil {
		return nil, err
	}
	extra, fault := canonicalExtra(*text)
	if fault != "" {
		return nil, fieldError(member, fault)
	}
	return new(secret.New(extra)), nil
}

// isEmptyJSON says whether valid JSON is an empty object or list, or zero.
func isEmptyJSON(text string) bool {
	switch text[0] {
	case '{', '[':
		return strings.Trim(text[1:len(text)-1], " \t\r\n") == ""
	case '-', '0':
		number, err := strconv.ParseFloat(text, 64)
		return err == nil && number == 0
	default:
		return false
	}
}

// maxName bounds what an error repeats of a field that Airflow does not know.
const maxName = 64

func fieldError(member jsontext.Member, reason string) error {
	name := member.Key
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	return &FieldError{Field: name, Position: member.KeyOffset + 1, Reason: reason}
}
