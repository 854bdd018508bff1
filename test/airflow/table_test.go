package airflow

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// documentedRow is a row of docs/connections-table.md. The tests of internal/policy hold that what is
// stored becomes what is given; whether a hook then uses what the row says is judged here.
type documentedRow struct {
	name          string
	stored, given json.RawMessage
	// alone is what the hook uses of what is stored, and uses of what it is given.
	alone, uses string
}

// readTable takes the sections apart that are called after a connection's type.
func readTable(text string) ([]documentedRow, error) {
	var all []documentedRow
	connType := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if title, isTitle := strings.CutPrefix(line, "## "); isTitle {
			connType = ""
			if strings.HasPrefix(title, "`") {
				connType = strings.Trim(title, "`")
			}
		}
		cells := strings.Split(line, " | ")
		if connType == "" || len(cells) != 8 || cells[0] == "| case" {
			continue
		}
		made := documentedRow{name: connType + ": " + strings.TrimPrefix(cells[0], "| "), alone: cells[2], uses: cells[5]}
		var err error
		if made.stored, err = withType(connType, cells[1]); err != nil {
			return nil, fmt.Errorf("row %q: %w", made.name, err)
		}
		if made.given, err = withType(connType, cells[4]); err != nil {
			return nil, fmt.Errorf("row %q: %w", made.name, err)
		}
		all = append(all, made)
	}
	return all, nil
}

// withType reads a cell's connection and gives it its type.
func withType(connType, cell string) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	cell = strings.ReplaceAll(strings.Trim(cell, "`"), `\|`, "|")
	if err := json.Unmarshal([]byte(cell), &fields); err != nil {
		return nil, err
	}
	fields["conn_type"] = json.RawMessage(`"` + connType + `"`)
	return json.Marshal(fields)
}

// judgeTable asks the providers' hooks about every row. What Airflow alone uses is stated for
// the newest providers.
func (b *bench) judgeTable(ctx context.Context) error {
	if !b.court.version.hooks {
		return nil
	}
	text, err := os.ReadFile(b.court.table)
	if err != nil {
		return err
	}
	documented, err := readTable(string(text))
	if err != nil {
		return fmt.Errorf("reading %s: %w", b.court.table, err)
	}
	asked := request{Rows: []json.RawMessage{}}
	for _, each := range documented {
		asked.Rows = append(asked.Rows, each.given, each.stored)
	}
	a, err := b.stations[0].ask(ctx, asked)
	if err != nil {
		return err
	}
	var words []string
	if err := json.Unmarshal(a.Ways["rows"], &words); err != nil {
		return err
	}
	if len(documented) == 0 || len(words) != len(asked.Rows) {
		return fmt.Errorf("asked hooks about %d connections, and they answered %d", len(asked.Rows), len(words))
	}
	b.compareTable(documented, words)
	return nil
}

func (b *bench) compareTable(documented []documentedRow, words []string) {
	number := b.court.version.number
	given := b.court.report.cell(number, "the documented table; given", "values")
	alone := b.court.report.cell(number, "the documented table; Airflow alone", "values")
	for i, each := range documented {
		given.compareWords(each.name, words[2*i], each.uses)
		if number == versions[0].number {
			alone.compareWords(each.name, words[2*i+1], each.alone)
		}
	}
}

// compareWords takes every reason to raise for the same.
func (c cell) compareWords(name, got, want string) {
	c.report.count(c)
	bothRaise := strings.HasPrefix(got, "raises") && strings.HasPrefix(want, "raises")
	if got != want && !bothRaise {
		c.differs(name, "credential", got, want)
	}
}
