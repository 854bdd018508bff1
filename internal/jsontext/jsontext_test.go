package jsontext

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMembersKeepOrderPlaceAndWriting(t *testing.T) {
	text := []byte(" {\"b\" : 1.50, \"a\":\"\\u0041\" ,\n\"b\":[ {\"c\":\"]}\"}, null ],\"\":{}} ")
	object, err := Parse(text)
	require.NoError(t, err)
	assert.Equal(t, 1, object.Offset)
	assert.True(t, object.IsObject())
	members, err := object.Members()
	require.NoError(t, err)
	var got []string
	for _, member := range members {
		assert.Equal(t, byte('"'), text[member.KeyOffset])
		assert.True(t, strings.HasPrefix(string(text[member.Offset:]), string(member.Value)))
		got = append(got, member.Key+"="+string(member.Value))
	}
	assert.Equal(t, []string{"b=1.50", `a="\u0041"`, `b=[ {"c":"]}"}, null ]`, "={}"}, got)

	items := members[2].Items()
	require.Len(t, items, 2)
	assert.Equal(t, `{"c":"]}"}`, string(items[0].Value))
	assert.Equal(t, "null", string(items[1].Value))
	assert.Equal(t, byte('n'), text[items[1].Offset])
}

func TestParseObjectTakesTheLastOfAKey(t *testing.T) {
	members, err := ParseObject([]byte(`{"a": 1, "b": "x", "a": 2}`))
	require.NoError(t, err)
	last, found := Last(members, "a")
	assert.True(t, found)
	assert.Equal(t, "2", string(last.Value))
	_, found = Last(members, "c")
	assert.False(t, found)

	for text, want := range map[string]string{"[]": "it must be an object", "1": "it must be an object", "{": "byte 1: not JSON from here on"} {
		_, err := ParseObject([]byte(text))
		require.EqualError(t, err, want)
	}
}

func TestOnlyAStringHasText(t *testing.T) {
	for _, text := range []string{"5", "null", "{}", "[]", "true"} {
		item, err := Parse([]byte(text))
		require.NoError(t, err)
		_, err = item.Text()
		require.EqualError(t, err, "is not a JSON string")
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "byte 1: not JSON from here on",
		"{":                      "byte 1: not JSON from here on",
		"{}n33dle":               "byte 3: not JSON from here on",
		"{\"a\":\"n33dle\xff\"}": "byte 13: not UTF-8",
		strings.Repeat("[", 201) + strings.Repeat("]", 201): "byte 201: nested deeper than 200 levels",
	} {
		_, err := Parse([]byte(text))
		require.EqualError(t, err, want)
	}
	_, err := Parse([]byte(`["[[["]`))
	assert.NoError(t, err)
}

// TestPythonsConstants has what Python's json.dumps writes of a float that is no number.
func TestPythonsConstants(t *testing.T) {
	for _, text := range []string{"NaN", " -Infinity ", `{"a":NaN,"b": [Infinity,-Infinity ]}`, `{"NaN":"NaN, \"NaN"}`} {
		_, err := Parse([]byte(text))
		assert.NoError(t, err, text)
		assert.True(t, Valid([]byte(text)), text)
	}
	for _, text := range []string{"nan", "1NaN", "NaN1", "+Infinity", "--Infinity", "{NaN:1}", "[NaN NaN]", `{"a":NaN`, `["NaN`, `["NaN\`, "Inf"} {
		_, err := Parse([]byte(text))
		assert.Error(t, err, text)
		assert.False(t, Valid([]byte(text)), text)
	}
	object, err := Parse([]byte(`{"a":NaN,"b":-Infinity}`))
	require.NoError(t, err)
	members, err := object.Members()
	require.NoError(t, err)
	assert.Equal(t, "NaN", string(members[0].Value))
	assert.Equal(t, "-Infinity", string(members[1].Value))
}

// FuzzText holds the strings and members found here against encoding/json.
func FuzzText(f *testing.F) {
	for _, text := range []string{
		`{"a":"\ud83d\ude00","b":["\\ud83d",{"c":null}]}`,
		`{"\u0061":"\ud83d"}`,
		`{"a":"\ude00\ud83d x"}`,
		`{"a":"\"\\","b": 1e5 , "c" :true}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		object, err := Parse(text)
		if err != nil || !object.IsObject() {
			return
		}
		members, err := object.Members()
		if err != nil {
			return // a key of half a pair, which encoding/json repairs
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(text, &want) != nil {
			return // one of Python's constants is in it
		}
		got := map[string]json.RawMessage{}
		for _, member := range members {
			got[member.Key] = member.Value
			assertSameText(t, member.Item)
		}
		assert.Equal(t, want, got)
	})
}

func assertSameText(t *testing.T, item Item) {
	t.Helper()
	var want string
	if item.Value[0] != '"' || json.Unmarshal(item.Value, &want) != nil {
		return
	}
	got, err := item.Text()
	if err != nil {
		assert.Contains(t, want, "\ufffd", "encoding/json repaired it")
		return
	}
	assert.Equal(t, want, got)

	quoted := AppendText(nil, want)
	again, err := Item{Value: quoted}.Text()
	require.NoError(t, err)
	assert.Equal(t, want, again)
	for _, char := range quoted {
		assert.True(t, ' ' <= char && char <= '~')
	}
}
