package airflow

import (
	"errors"
	"fmt"

	"github.com/leoflow/secrets-csi/pkg/airflow/internal/jsontext"
)

// ParseJSON reads a connection from the JSON object that AIRFLOW_CONN_<ID> may hold:
// conn_type, description, host, login, password, schema, port and extra, or a lone
// uri. Null is absent. A field unknown to Airflow is an error, as it is there.
func ParseJSON(id string, text []byte) (Connection, error) {
	if err := checkSize(len(text)); err != nil {
		return Connection{}, err
	}
	members, err := connectionMembers(text)
	if err != nil {
		return Connection{}, fmt.Errorf("reading connection as JSON: %w", err)
	}
	if len(members) == 1 && members[0].Key == "uri" {
		return parseLoneURI(id, members[0])
	}
	conn := Connection{ID: id}
	held := new(values)
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

func parseLoneURI(id string, member jsontext.Member) (Connection, error) {
	uri, present, err := memberText(member)
	if err != nil {
		return Connection{}, err
	}
	if !present {
		return Connection{}, fieldError(member, "is null; give a URI, or the fields of the connection")
	}
	return ParseURI(id, uri)
}
