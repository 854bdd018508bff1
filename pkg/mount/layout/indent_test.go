package layout

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is laid out is what encoding/json makes of any value.
func FuzzIndentedIsAsTheStandardLibraryHasIt(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `{"a":[]}`, `[{},[],"",{"a":{}}]`, `{"a\"}{":"\\","b":[1.5e3,true,null,"x,y:z"]}`, `"text"`, `0`, `{"<&>":"\u2028é"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var value any
		if json.Unmarshal(text, &value) != nil {
			return
		}
		compact, err := json.Marshal(value)
		require.NoError(t, err)
		var want bytes.Buffer
		require.NoError(t, json.Indent(&want, compact, "", "  "))
		assert.Equal(t, want.String(), string(appendIndented(nil, compact)))
	})
}

func BenchmarkEncode(b *testing.B) {
	manifest := Manifest{Schema: Schema, Generation: 1, StaleAfter: 300}
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		manifest.Entries = append(manifest.Entries, Entry{
			Kind: Connection, ID: id, State: Delivered, Env: "AIRFLOW_CONN_" + id, File: "connections/" + id, Version: "RFkJKn28mmrm3YkezwHq-w", Source: "core",
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := manifest.Encode()
		require.NoError(b, err)
	}
}
