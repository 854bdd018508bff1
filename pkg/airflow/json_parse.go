package airflow

import (
	"errors"
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
	held := new(values)
	if uri, description := loneURI(members); uri != nil {
		return parseLoneURI(id, held, *uri, description)
	}
	conn := Connection{ID: id}
	for _, member := range members {
		if err := conn.take(held, member); err != nil {
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
	object, err := jsontext.Parse(text)
	if err != nil {
		return nil, err
	}
	if !object.IsObject() {
		return nil, errors.New("it must be an object")
	}
	members, err := object.Members()
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

func parseLoneURI(id string, held *values, uri jsontext.Member, description *jsontext.Member) (Connection, error) {
	text, present, err := memberText(uri)
	if err != nil {
		return Connection{}, err
	}
	if !present {
		return Connection{}, fieldError(uri, "is null; give a URI, or the fields of the connection")
	}
	conn, err := ParseURI(id, text)
	if err == nil && description != nil {
		err = takeText(&conn.Description, &held.description, *description)
	}
	if err != nil {
		return Connection{}, err
	}
	return conn, nil
}

// values holds what a parsed connection points to, in one piece of memory.
type values struct {
	description, host, login, schema string
	password, extra                  secret.Text
	port                             uint16
}

func (c *Connection) take(held *values, member jsontext.Member) error {
	switch member.Key {
	case "conn_type":
		return c.takeType(member)
	case "description":
		return takeText(&c.Description, &held.description, member)
	case "host":
		return takeText(&c.Host, &held.host, member)
	case "login":
		return takeText(&c.Login, &held.login, member)
	case "schema":
		return takeText(&c.Schema, &held.schema, member)
	case "password":
		return c.takePassword(held, member)
	case "port":
		return c.takePort(held, member)
	case "extra":
		return c.takeExtra(held, member)
	case "uri":
		return fieldError(member, "stands beside no field but description; remove it or the other fields")
	case "team_name":
		return fieldError(member, "is of Airflow's teams, and no entry here has a team; remove it")
	}
	return fieldError(member, "is not a field of a connection; Airflow knows conn_type, description, host, login, password, schema, port, extra and uri")
}

func (c *Connection) takeType(member jsontext.Member) error {
	text, _, err := memberText(member)
	c.Type = NormalizeType(text)
	return err
}

func takeText(field **string, held *string, member jsontext.Member) error {
	text, present, err := memberText(member)
	if present {
		*held, *field = text, held
	}
	return err
}

func (c *Connection) takePassword(held *values, member jsontext.Member) error {
	text, present, err := memberText(member)
	if present {
		held.password = secret.New(text)
		c.Password = &held.password
	}
	return err
}

const portReason = "must be a whole number from 0 to 65535"

// takePort reads a number or, as Airflow does, a number in quotes; empty quotes are
// no port.
func (c *Connection) takePort(held *values, member jsontext.Member) error {
	digits := string(member.Value)
	if member.Value[0] == '"' {
		text, _, err := memberText(member)
		if err != nil {
			return err
		}
		digits = strings.TrimSpace(text)
	}
	if digits == "null" || digits == "" {
		return nil
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return fieldError(member, portReason)
	}
	held.port = uint16(port)
	c.Port = &held.port
	return nil
}

// takeExtra drops what Python takes for false, as Airflow does.
func (c *Connection) takeExtra(held *values, member jsontext.Member) error {
	text := string(member.Value)
	switch {
	case text == "null" || text == "false" || text == `""` || isEmptyJSON(text):
		return nil
	case text[0] == '{':
		if member.HasLoneSurrogate() {
			return fieldError(member, surrogateReason)
		}
		held.extra = secret.New(canonical(member.Item))
	case text[0] == '"':
		if err := held.takeExtraText(member); err != nil {
			return err
		}
	default:
		return fieldError(member, "must be a JSON object, such as {\"key\": \"value\"}, or text")
	}
	c.Extra = &held.extra
	return nil
}

func (h *values) takeExtraText(member jsontext.Member) error {
	text, _, err := memberText(member)
	if err != nil {
		return err
	}
	if text, err = canonicalExtra(text); err != nil {
		return atMember(member, err)
	}
	h.extra = secret.New(text)
	return nil
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

func memberText(member jsontext.Member) (text string, present bool, err error) {
	if string(member.Value) == "null" {
		return "", false, nil
	}
	if member.Value[0] != '"' {
		return "", false, fieldError(member, "must be a string; put it in quotes")
	}
	text, err = member.Text()
	if err != nil {
		return "", false, fieldError(member, err.Error())
	}
	return text, true, nil
}

// atMember says where the field of an error stands.
func atMember(member jsontext.Member, err error) error {
	var field *FieldError
	if errors.As(err, &field) {
		return fieldError(member, field.Reason)
	}
	return err
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
