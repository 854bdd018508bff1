package export

import (
	"errors"
	"slices"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func readConnection(entry member, sealed Sealed) (Connection, error) {
	conn := Connection{ID: entry.key, Line: entry.line}
	value := entry.value
	if value.kind == list && len(value.items) == 1 {
		value = value.items[0] // older import files hold lists of one
	}
	if err := value.firstFault(); err != nil {
		return Connection{}, err
	}
	value = value.withoutNulls().loneURI()
	var err error
	switch {
	case value.kind == text && sealed.holds(value.text):
		conn.Sealed = new(secret.New(value.text))
	case value.kind == text:
		conn.Connection, err = airflow.Parse(entry.key, value.text)
		conn.Losses = airflow.Losses(value.text)
	case value.kind == object:
		if conn.Team, err = value.takeTeam(); err == nil {
			conn.Connection, err = readFields(entry.key, value, sealed)
		}
	default:
		err = errors.New("must be a URI, or an object of fields such as conn_type and host")
	}
	if err != nil {
		return Connection{}, value.locate(err)
	}
	return conn, nil
}

// withoutNulls is an object without the members that are as good as absent.
func (n node) withoutNulls() node {
	if n.kind == object {
		n.members = slices.DeleteFunc(slices.Clone(n.members), func(m member) bool { return m.value.kind == null })
	}
	return n
}

// loneURI is the URI of an object that holds nothing else.
func (n node) loneURI() node {
	if uri, found := n.member("uri"); found && len(n.members) == 1 && uri.value.kind == text {
		return uri.value
	}
	return n
}

func (s Sealed) holds(text string) bool { return s != nil && s(text) }

// readFields takes what import files may hold beyond the fields of a connection away
// and leaves the rest to airflow.ParseJSON. It owns the members of value.
func readFields(id string, value node, sealed Sealed) (airflow.Connection, error) {
	if err := value.dropConnectionID(id); err != nil {
		return airflow.Connection{}, err
	}
	if err := value.renameExtra(); err != nil {
		return airflow.Connection{}, err
	}
	extra, found := value.member("extra")
	kept := found && extra.value.kind == text && sealed.holds(extra.value.text)
	if kept {
		value.drop("extra")
	}
	conn, err := airflow.ParseJSON(id, value.appendJSON(nil))
	if err != nil {
		return airflow.Connection{}, err
	}
	if kept {
		conn.Extra = new(secret.New(extra.value.text))
	}
	return conn, nil
}

func (n *node) drop(key string) {
	n.members = slices.DeleteFunc(n.members, func(m member) bool { return m.key == key })
}

func (n *node) dropConnectionID(id string) error {
	given, found := n.member("conn_id")
	if found && (given.value.kind != text || given.value.text != id) {
		return at(given.line, `field "conn_id": differs from the id that the entry stands under; remove it`)
	}
	n.drop("conn_id")
	return nil
}

// takeTeam takes the team out, which is not the connection's but says whose it is.
func (n *node) takeTeam() (string, error) {
	given, found := n.member("team_name")
	if !found {
		return "", nil
	}
	if given.value.kind != text || given.value.text == "" {
		return "", at(given.line, `field "team_name": must be the name of a team; remove it where the connection is for all`)
	}
	n.drop("team_name")
	return given.value.text, nil
}

// renameExtra reads extra_dejson, which import files may hold instead of extra.
func (n *node) renameExtra() error {
	given, found := n.member("extra_dejson")
	if !found {
		return nil
	}
	if _, both := n.member("extra"); both {
		return at(given.line, `field "extra_dejson": stands beside extra; remove one`)
	}
	if given.value.kind != object {
		return at(given.line, `field "extra_dejson": must be an object`)
	}
	n.drop("extra_dejson")
	given.key = "extra"
	n.members = append(n.members, given)
	return nil
}

// locate finds the line of an error. A place within a text it leaves; one within the
// JSON that readFields made says nothing to anybody.
func (n node) locate(err error) error {
	var located *lineError
	var field *airflow.FieldError
	switch {
	case errors.As(err, &located):
		return err
	case n.kind != object || !errors.As(err, &field):
		return &lineError{n.line, err}
	}
	err = &airflow.FieldError{Field: field.Field, Reason: field.Reason}
	if given, found := n.member(field.Field); found {
		return &lineError{given.line, err}
	}
	return err
}
