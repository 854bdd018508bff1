package audit

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every field of a record is set, one after the other: one that is forgotten in
// appendLine is missing here.
func TestALineIsWhatEncodingJSONWrites(t *testing.T) {
	texts := []string{"plain", `quo"ted\`, "new\nline", "<wörd>\u2028", "bad\xff", "\x00\x7f"}
	for _, text := range texts {
		whole := Record{Time: time.Date(2026, 5, 1, 12, 0, 0, 123, time.UTC)}
		assertEncodes(t, whole)
		set(t, reflect.ValueOf(&whole).Elem(), text, func() { assertEncodes(t, whole) })
	}
}

// set sets every field of the record, those of embedded structs too.
func set(t *testing.T, record reflect.Value, text string, after func()) {
	for i := range record.NumField() {
		field := record.Field(i)
		switch {
		case field.Type() == reflect.TypeFor[time.Time]():
			continue
		case field.Kind() == reflect.Struct:
			set(t, field, text, after)
			continue
		case field.Kind() == reflect.String:
			field.SetString(text)
		case field.Kind() == reflect.Int:
			field.SetInt(7)
		case field.Kind() == reflect.Bool:
			field.SetBool(true)
		default:
			require.Fail(t, "unknown kind of field", record.Type().Field(i).Name)
		}
		after()
	}
}

func assertEncodes(t *testing.T, record Record) {
	t.Helper()
	var expected bytes.Buffer
	encoder := json.NewEncoder(&expected)
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(record))
	assert.Equal(t, expected.String(), string(appendLine(nil, &record)))
}

func BenchmarkLine(b *testing.B) {
	r, line := record(), []byte(nil)
	for b.Loop() {
		line = appendLine(line[:0], &r)
	}
}
