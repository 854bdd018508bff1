package airflow

import (
	"errors"
	"fmt"

	"github.com/leoflow/secrets-csi/internal/jsontext"
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

func connectionMembers(text []byte) ([]jsontext.Member, error) {
	if err := jsontext.Check(text); err != nil {
		return nil, err
	}
	object := jsontext.Trim(text)
	if !jsontext.IsObject(object.Value) {
		return nil, errors.New("it must be an object")
	}
	members, err := jsontext.Members(object.Value)
	if err != nil {
		return nil, err
	}
	if member, twice := jsontext.Twice(members); twice {
		return nil, fieldError(member, "is given twice; remove one")
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
