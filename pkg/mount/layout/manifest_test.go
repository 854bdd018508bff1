package layout

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newManifest() Manifest {
	return Manifest{
		Schema: Schema, Generation: 7, Fetched: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		Entries: []Entry{
			{
				Kind: "connection", ID: "team/db", State: Delivered, Env: "AIRFLOW_CONN_TEAM/DB",
				File: "connections/team%2Fdb", Version: "1", Source: "core",
				Notices: []Notice{{Code: "stored-key", Message: "a cloud key is stored in core"}},
			},
			{Kind: "variable", ID: "region", State: "missing"},
		},
	}
}

func TestManifestSurvivesEncoding(t *testing.T) {
	data, err := newManifest().Encode()
	require.NoError(t, err)
	read, err := ParseManifest(data)
	require.NoError(t, err)
	assert.Equal(t, newManifest(), read)
}

func TestManifestRefusesOneBrokenField(t *testing.T) {
	tests := map[string]struct {
		damage func(*Manifest)
		want   string
	}{
		"no schema":             {func(m *Manifest) { m.Schema = 0 }, "it states no schema"},
		"a newer schema":        {func(m *Manifest) { m.Schema = 2 }, "schema 2 is newer than 1, the newest this program reads: upgrade it"},
		"no file":               {func(m *Manifest) { m.Entries[0].File = "" }, `connection "team/db" names "", which is no file of a volume`},
		"a file outside":        {func(m *Manifest) { m.Entries[0].File = "../passwd" }, "no file of a volume"},
		"a way out":             {func(m *Manifest) { m.Entries[0].File = "connections/../../x" }, "no file of a volume"},
		"the parent":            {func(m *Manifest) { m.Entries[0].File = "connections/.." }, "no file of a volume"},
		"an absolute file":      {func(m *Manifest) { m.Entries[0].File = "/etc/passwd" }, "no file of a volume"},
		"a deeper file":         {func(m *Manifest) { m.Entries[0].File = "connections/a/b" }, "no file of a volume"},
		"a file with NUL":       {func(m *Manifest) { m.Entries[0].File = "connections/a\x00" }, "no file of a volume"},
		"another directory":     {func(m *Manifest) { m.Entries[0].File = "..data/a" }, "no file of a volume"},
		"no name":               {func(m *Manifest) { m.Entries[0].File = "connections/" }, "no file of a volume"},
		"a file of the missing": {func(m *Manifest) { m.Entries[1].File = "variables/region" }, `variable "region" is "missing", yet names a file`},
		"the missing held":      {func(m *Manifest) { m.Entries[1].Held = &Held{} }, `variable "region" is "missing", yet held`},
		"an env of the missing": {func(m *Manifest) { m.Entries[1].Env = "AIRFLOW_VAR_REGION" }, `variable "region" is "missing", yet names a file`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			manifest := newManifest()
			test.damage(&manifest)
			_, err := manifest.Encode()
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestParseManifestRefusesWhatItCannotRelyOn(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"nothing":        {"", "unusable manifest: byte 1: not JSON from here on"},
		"half":           {`{"schema": 1, "entr`, "unusable manifest: byte 19: not JSON from here on"},
		"a newer schema": {`{"schema": 2, "entries": "elsewhere"}`, "unusable manifest: schema 2 is newer than 1"},
		"a list":         {`[]`, "unusable manifest: the manifest is not an object"},
		"words for it":   {`{"schema": "1"}`, "unusable manifest: schema is not a count"},
		"a fraction":     {`{"schema": 1.5}`, "unusable manifest: schema is not a count"},
		"less than none": {`{"schema": 1, "generation": -1}`, "unusable manifest: generation is not a count"},
		"too many":       {`{"schema": 1, "generation": 18446744073709551616}`, "unusable manifest: generation is not a count"},
		"no time":        {`{"schema": 1, "fetched": "today"}`, "unusable manifest: fetched is not a time as in RFC 3339"},
		"no flag":        {`{"schema": 1, "offline": 1}`, "unusable manifest: offline is not true or false"},
		"no list":        {`{"schema": 1, "entries": {}}`, "unusable manifest: entries is not a list"},
		"no entry":       {`{"schema": 1, "entries": [null]}`, "unusable manifest: one of entries is not an object"},
		"no text":        {`{"schema": 1, "entries": [{"id": 1, "env": 2}]}`, "unusable manifest: id is not text"},
		"no grade":       {`{"schema": 1, "entries": [{"grade": true}]}`, "unusable manifest: grade is not an object"},
		"a way out":      {`{"schema": 1, "entries": [{"state": "delivered", "file": "../x"}]}`, "no file of a volume"},
		"too much":       {`{"schema": 1}` + strings.Repeat(" ", MaxManifestSize), "over 4194304 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseManifest([]byte(test.text))
			require.ErrorIs(t, err, ErrManifest)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestParseManifestIgnoresFieldsOfLaterReleases(t *testing.T) {
	manifest, err := ParseManifest([]byte(`{"schema": 1, "generation": 3, "later": true}`))
	require.NoError(t, err)
	assert.Equal(t, uint64(3), manifest.Generation)
}

func FuzzParseManifest(f *testing.F) {
	data, err := newManifest().Encode()
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"schema": 1, "entries": [{"state": "delivered", "file": "../x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		manifest, err := ParseManifest(data)
		if err != nil {
			return
		}
		for _, entry := range manifest.Entries {
			if entry.File != "" {
				assert.True(t, IsValuePath(entry.File))
			}
		}
		encoded, err := manifest.Encode()
		require.NoError(t, err)
		again, err := ParseManifest(encoded)
		require.NoError(t, err)
		assert.Equal(t, manifest, again)
	})
}

func TestNoEntriesAreAList(t *testing.T) {
	encoded, err := Manifest{Schema: Schema}.Encode()
	require.NoError(t, err)
	assert.Contains(t, string(encoded), `"entries": []`)
}

// fill gives every field a value of its own, down to the last.
func fill(value reflect.Value, number *int) {
	*number++
	switch at := value.Addr().Interface().(type) {
	case *time.Time:
		*at = time.Date(2026, 1, 2, 3, 4, 5, *number, time.UTC)
		return
	}
	switch value.Kind() {
	case reflect.Struct:
		for i := range value.NumField() {
			fill(value.Field(i), number)
		}
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(value.Elem(), number)
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 2, 2))
		for i := range value.Len() {
			fill(value.Index(i), number)
		}
	case reflect.String:
		value.SetString(fmt.Sprint("text ", *number))
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int64:
		value.SetInt(int64(*number))
	case reflect.Uint64:
		value.SetUint(uint64(*number))
	default:
		panic(value.Type())
	}
}

// A field that is added to the structs and not to decode is noticed here.
func TestDecodeReadsEveryField(t *testing.T) {
	var full, number = Manifest{}, 0
	fill(reflect.ValueOf(&full).Elem(), &number)
	full.Schema = Schema
	for _, manifest := range []Manifest{full, {Schema: 1, Generation: 1 << 62, Entries: []Entry{{}}}} {
		text, err := json.Marshal(manifest)
		require.NoError(t, err)
		read, err := decode(text)
		require.NoError(t, err)
		assert.Equal(t, manifest, read)
	}
}
