package metastore

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what is taken from the database, whoever has written there.
const (
	maxRows  = 1 << 14  // of a table
	maxValue = 1 << 20  // bytes of one column of one row
	maxTotal = 16 << 20 // bytes of both tables, where a row counts for rowCost besides its own
	rowCost  = 512
	// maxMessage bounds one row on the wire, which has a few columns of maxValue.
	maxMessage = 64 << 20
)

// table is one of Airflow's two, and what was last read of it.
type table struct {
	name           string
	needed, wanted []string
	rowOf          func(cells, Keys) (row Row, kept bool)

	columns []string // those of the database, as the rows were read
	rows    map[int64]known
}

// known is a row as it was read. It is compared for equality: xmin wraps, so it has no order.
type known struct {
	xmin string
	row  Row
	kept bool
	size int
}

func newTables() []*table {
	return []*table{
		{
			name:   "connection",
			needed: []string{"id", "conn_id", "conn_type", "host", "schema", "login", "password", "port", "extra", "is_encrypted", "is_extra_encrypted"},
			wanted: []string{"description", "team_id", "team_name"},
			rowOf:  connectionRow,
		},
		{
			name:   "variable",
			needed: []string{"id", "key", "val", "is_encrypted"},
			wanted: []string{"team_id", "team_name"},
			rowOf:  variableRow,
		},
	}
}

// columnsSQL asks for the columns as the role's search_path finds the table.
func (t *table) columnsSQL() string {
	return "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass('" + t.name + "') AND attnum > 0 AND NOT attisdropped ORDER BY attname"
}

func (t *table) idsSQL() string {
	return "SELECT id::text, xmin::text FROM " + t.name + " LIMIT " + strconv.Itoa(maxRows+1)
}

// valuesSQL asks for what is planned. A value beyond the bound is cut where it is.
func (t *table) valuesSQL(p plan) string {
	list := []string{"id::text", "xmin::text"}
	for _, column := range t.read(p.columns) {
		list = append(list, fmt.Sprintf(`left("%s"::text, %d)`, column, maxValue+1))
	}
	where := ""
	if !p.all {
		numbers := make([]string, len(p.changed))
		for i, id := range p.changed {
			numbers[i] = strconv.FormatInt(id, 10)
		}
		where = " WHERE id = ANY('{" + strings.Join(numbers, ",") + "}')"
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + t.name + where + " LIMIT " + strconv.Itoa(maxRows+1)
}

// read are the columns that are read, of those that there are. Others may come with any version.
func (t *table) read(columns []string) []string {
	var list []string
	for _, column := range append(t.needed[1:len(t.needed):len(t.needed)], t.wanted...) {
		if slices.Contains(columns, column) {
			list = append(list, column)
		}
	}
	return list
}

func (t *table) check(columns []string) error {
	if len(columns) == 0 {
		return fmt.Errorf("table %q: %s", t.name, stateText("42P01"))
	}
	for _, column := range t.needed {
		if !slices.Contains(columns, column) {
			return fmt.Errorf("table %q has no column %q, which is needed; core reads those of Airflow 2.10 to 3.3", t.name, column)
		}
	}
	return nil
}

// outline is a table without its values.
type outline struct {
	columns []string
	ids     map[int64]string // the xmins
}

func (o *outline) add(t *table, row [][]byte) error {
	id, err := strconv.ParseInt(string(row[0]), 10, 64)
	if err != nil {
		return limit(fmt.Sprintf("table %q has an id that is no number", t.name))
	}
	o.ids[id] = string(row[1])
	if len(o.ids) > maxRows {
		return limit(fmt.Sprintf("table %q has more than the %d rows that core reads", t.name, maxRows))
	}
	return nil
}

// plan is what is to be read of a table: all, or the rows that are new or have another xmin.
type plan struct {
	outline
	all, gone bool
	changed   []int64
}

func (p plan) isEmpty() bool { return !p.all && !p.gone && len(p.changed) == 0 }

func (t *table) plan(found outline, all bool) plan {
	p := plan{outline: found, all: all || !slices.Equal(t.columns, found.columns)}
	for id, xmin := range found.ids {
		if before, known := t.rows[id]; !known || before.xmin != xmin {
			p.changed = append(p.changed, id)
		}
	}
	for id := range t.rows {
		if _, still := found.ids[id]; !still {
			p.gone = true
		}
	}
	slices.Sort(p.changed)
	return p
}

// isWhole tells whether every row of the plan is there.
func (p plan) isWhole(rows map[int64]known) bool {
	for id := range p.ids {
		if _, found := rows[id]; !found {
			return false
		}
	}
	return true
}

// standing are the rows that are not read again.
func (t *table) standing(p plan) map[int64]known {
	rows := make(map[int64]known, len(p.ids))
	if p.all {
		return rows
	}
	for id, xmin := range p.ids {
		if before, found := t.rows[id]; found && before.xmin == xmin {
			rows[id] = before
		}
	}
	return rows
}

// parse makes an entry of a row of valuesSQL.
func (t *table) parse(columns []string, row [][]byte, keys Keys) (int64, known, error) {
	id, err := strconv.ParseInt(string(row[0]), 10, 64)
	if err != nil {
		return 0, known{}, limit(fmt.Sprintf("table %q has an id that is no number", t.name))
	}
	values, read := cells{}, known{xmin: string(row[1])}
	for i, column := range t.read(columns) {
		if value := row[i+2]; value != nil {
			values[column] = new(string(value))
			read.size += len(value)
		}
	}
	read.row, read.kept = t.rowOf(values, keys)
	read.row.Number = id
	return id, read, nil
}

// limit is an error of core's own making, which may be told as it is.
type limit string

func (l limit) Error() string { return string(l) }

func size(rows map[int64]known) int {
	total := 0
	for _, each := range rows {
		total += each.size + rowCost
	}
	return total
}

// kept are the rows that are entries, in the order of their ids.
func (t *table) kept() []Row {
	list := make([]Row, 0, len(t.rows))
	for _, id := range slices.Sorted(maps.Keys(t.rows)) {
		if each := t.rows[id]; each.kept {
			list = append(list, each.row)
		}
	}
	return list
}
