package metastore

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Row is one row as an entry, its fields as BaseHook.get_connection and Variable.get have them.
type Row struct {
	// Number is the row's id in its table.
	Number int64
	Name   entry.Name
	// Team is what "team_name" says, or "team_id" where the table has that; empty for all.
	Team string
	// Invalid says why nobody can have the entry, without a value; empty where one can.
	Invalid    string
	Connection airflow.Connection
	Text       secret.Text
}

// Format prints the name, whatever the verb.
func (r Row) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, r.Name) }

// cells are the texts of a row by their columns; nil is NULL.
type cells map[string]*string

func (c cells) isTrue(column string) bool { return c[column] != nil && *c[column] == "true" }

func (c cells) text(column string) string {
	if c[column] == nil {
		return ""
	}
	return *c[column]
}

// team reads what 3.2 calls "team_name", and 3.1 by an id whose names are in another table.
func (c cells) team() string {
	if name := c.text("team_name"); name != "" {
		return name
	}
	return c.text("team_id")
}

// tooLarge names the column whose value is beyond the bound of one.
func (c cells) tooLarge() string {
	for column, text := range c {
		if text != nil && len(*text) > maxValue {
			return column
		}
	}
	return ""
}

// opened decrypts a column where its flag says that it is encrypted. As in Airflow, an empty text
// never is.
func (c cells) opened(keys Keys, column, flag string) (*secret.Text, error) {
	text := c[column]
	if text == nil {
		return nil, nil
	}
	plain := *text
	if plain != "" && c.isTrue(flag) {
		var err error
		if plain, err = keys.open(plain); err != nil {
			return nil, &airflow.FieldError{Field: column, Reason: err.Error()}
		}
	}
	return new(secret.New(plain)), nil
}

func connectionRow(c cells, keys Keys) (row Row, kept bool) {
	row = Row{Name: entry.Name{Kind: entry.Connection, ID: c.text("conn_id")}, Team: c.team()}
	connection, err := connectionOf(c, keys)
	switch {
	case row.Name.ID == "":
		row.Invalid = "has no conn_id"
	case err != nil:
		row.Invalid = err.Error()
	default:
		row.Connection = connection
	}
	return row, true
}

// connectionOf is what models.Connection is after it was loaded. Its type is spelled as Airflow
// spells one that it has read from text, which is what a pod gets.
func connectionOf(c cells, keys Keys) (airflow.Connection, error) {
	none := airflow.Connection{}
	if column := c.tooLarge(); column != "" {
		return none, &airflow.FieldError{Field: column, Reason: fmt.Sprintf("is larger than %d KiB", maxValue>>10)}
	}
	connection := airflow.Connection{
		ID: c.text("conn_id"), Type: airflow.NormalizeType(c.text("conn_type")),
		Description: c["description"], Host: c["host"], Login: c["login"], Schema: c["schema"],
	}
	var err error
	if connection.Password, err = c.opened(keys, "password", "is_encrypted"); err != nil {
		return none, err
	}
	if connection.Extra, err = c.opened(keys, "extra", "is_extra_encrypted"); err != nil {
		return none, err
	}
	if text := c["port"]; text != nil {
		port, err := strconv.ParseUint(*text, 10, 16)
		if err != nil {
			return none, &airflow.FieldError{Field: "port", Reason: "must be a whole number from 0 to 65535"}
		}
		connection.Port = new(uint16(port))
	}
	return connection, connection.Validate()
}

// variableRow keeps no row without a value: to Airflow such a variable does not exist.
func variableRow(c cells, keys Keys) (row Row, kept bool) {
	row = Row{Name: entry.Name{Kind: entry.Variable, ID: c.text("key")}, Team: c.team()}
	value, err := c.opened(keys, "val", "is_encrypted")
	switch {
	case c["val"] == nil:
		return Row{}, false
	case row.Name.ID == "":
		row.Invalid = "has no key"
	case c.tooLarge() != "":
		row.Invalid = fmt.Sprintf("field %q: is larger than %d KiB", c.tooLarge(), maxValue>>10)
	case *c["val"] == "" && c.isTrue("is_encrypted"):
		row.Invalid = `field "val": is said to be encrypted, and is empty`
	case err != nil:
		row.Invalid = err.Error()
	case !utf8.ValidString(value.Reveal()):
		row.Invalid = `field "val": is not UTF-8; Airflow holds text only`
	default:
		row.Text = *value
	}
	return row, true
}
