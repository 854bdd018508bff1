package airflow

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// question asks testdata/airflow.py what Airflow makes of a text.
type question struct{ form, text string }

func (q question) MarshalJSON() ([]byte, error) { return json.Marshal([]string{q.form, q.text}) }

type answer struct {
	Error string
	Value json.RawMessage
}

// reading is a connection as Airflow holds it.
type reading struct {
	Type        string  `json:"conn_type"`
	Description *string `json:"description"`
	Host        *string `json:"host"`
	Login       *string `json:"login"`
	Password    *string `json:"password"`
	Schema      *string `json:"schema"`
	Port        *uint16 `json:"port"`
	Extra       *string `json:"extra"`
}

func askAirflow(t *testing.T, questions []question) []answer {
	t.Helper()
	testneed.Program(t, "python3")
	input, err := json.Marshal(questions)
	require.NoError(t, err)
	command := testwait.Command(t, "python3", "testdata/airflow.py")
	command.Stdin = bytes.NewReader(input)
	output, err := command.Output()
	require.NoError(t, err)
	var answers []answer
	require.NoError(t, json.Unmarshal(output, &answers))
	require.Len(t, answers, len(questions))
	return answers
}

func (a answer) reading(t *testing.T) reading {
	t.Helper()
	require.Empty(t, a.Error)
	var r reading
	require.NoError(t, json.Unmarshal(a.Value, &r))
	return r
}

// readingOf is what Airflow has to hold for conn to be what was meant.
func readingOf(conn Connection) reading {
	r := reading{
		Type: conn.Type, Description: conn.Description, Host: conn.Host,
		Login: conn.Login, Schema: conn.Schema, Port: conn.Port,
	}
	if conn.Password != nil {
		r.Password = new(conn.Password.Reveal())
	}
	if conn.Extra != nil {
		r.Extra = new(conn.Extra.Reveal())
	}
	return r
}

// asURI is r without what a URI has no place for, see Connection.URI.
func (r reading) asURI() reading {
	r.Description = nil
	r.Host, r.Schema = new(orEmpty(r.Host)), new(orEmpty(r.Schema))
	if r.Password != nil {
		r.Login = new(orEmpty(r.Login))
	}
	return r
}

// assertSameReading takes white space and order in an extra for nothing.
func assertSameReading(t *testing.T, want, got reading, context string) {
	t.Helper()
	if want.Extra != nil && got.Extra != nil && json.Valid([]byte(*want.Extra)) {
		assert.JSONEq(t, *want.Extra, *got.Extra, context)
		want.Extra, got.Extra = nil, nil
	}
	assert.Equal(t, want, got, context)
}

func TestAirflowReadsWhatWeEmit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var conns []Connection
	var questions []question
	for range 1500 {
		conn := randomConnection(random)
		uri, err := conn.URI()
		require.NoError(t, err)
		conns = append(conns, conn)
		text := string(conn.JSON())
		questions = append(questions, question{"uri", uri}, question{"json", text}, question{"file", text})
	}
	answers := askAirflow(t, questions)
	for i, conn := range conns {
		want := readingOf(conn)
		assertSameReading(t, want.asURI(), answers[3*i].reading(t), questions[3*i].text)
		assertSameReading(t, want, answers[3*i+1].reading(t), questions[3*i+1].text)
		assertSameReading(t, want, answers[3*i+2].reading(t), questions[3*i+2].text)
	}
}

func TestWeReadURIsAsAirflowDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var questions []question
	for range 4000 {
		questions = append(questions, question{"uri", randomURI(random)})
	}
	answers := askAirflow(t, questions)
	read := 0
	for i, asked := range questions {
		conn, err := ParseURI("id", asked.text)
		if answers[i].Error != "" {
			assert.Error(t, err, asked.text)
			continue
		}
		want := answers[i].reading(t).withOurExtra()
		if err != nil {
			assert.Fail(t, "Airflow reads it", "%s: %v", asked.text, err)
			continue
		}
		read++
		assertSameReading(t, want, readingOf(conn), asked.text)
	}
	assert.Greater(t, read, 2000, "most of the URIs should be sound")
}

func TestAirflowAgreesWithTheTables(t *testing.T) {
	var questions []question
	var names []string
	var wants []Connection
	ask := func(name, form, text string, want Connection) {
		names, wants = append(names, name), append(wants, want)
		questions = append(questions, question{form, text})
	}
	for name, row := range asAirflow() {
		ask(name, "uri", row.uri, row.want)
	}
	for name, row := range jsonRows() {
		ask(name, "json", row.text, row.want)
	}
	for name, row := range asMeant() {
		ask(name, "uri", row.uri, row.want)
	}
	answers := askAirflow(t, questions)
	agreed := len(questions) - len(asMeant())
	for i := range agreed {
		assertSameReading(t, readingOf(wants[i]), answers[i].reading(t).withOurExtra(), names[i])
	}
	for i := agreed; i < len(questions); i++ {
		if answers[i].Error == "" {
			assert.NotEqual(t, readingOf(wants[i]), answers[i].reading(t).withOurExtra(), names[i])
		}
	}
}

// withOurExtra is r with the extra as we write it: none for an empty one.
func (r reading) withOurExtra() reading {
	if r.Extra == nil || *r.Extra == "" {
		r.Extra = nil
		return r
	}
	if text, fault := canonicalExtra(*r.Extra); fault == "" {
		r.Extra = &text
	}
	return r
}

// TestWeUpperCaseAsPythonDoes asks about every character that either might change, and of all
// of them in one text, since Python looks at none of a character's neighbours.
func TestWeUpperCaseAsPythonDoes(t *testing.T) {
	var questions []question
	var asked, want strings.Builder
	for char := rune(0); char <= utf8.MaxRune; char++ {
		text := string(char)
		if utf8.ValidRune(char) && (upper(text) != text || unicode.In(char, unicode.L, unicode.M, unicode.Nl, unicode.So)) {
			questions = append(questions, question{"upper", text})
			asked.WriteString(text)
			want.WriteString(upper(text))
		}
	}
	require.Greater(t, len(questions), 100_000)
	assert.Equal(t, want.String(), upper(asked.String()), "each by itself")
	differ := 0
	for i, answer := range askAirflow(t, questions) {
		text, want := questions[i].text, ""
		require.NoError(t, json.Unmarshal(answer.Value, &want))
		if want == text || upper(text) == text {
			if want != upper(text) { // a letter of a newer Unicode than one of the two knows
				differ++
			}
			continue
		}
		assert.Equal(t, want, upper(text), "%U", []rune(text))
	}
	assert.Less(t, differ, 100)
}

// nasty are the characters that some step of reading a URI or JSON gives a meaning.
var nasty = []string{
	"a", "b", "Z", "É", "é", "0", "7", ":", "/", "//", "://", "?", "#", "@", "[", "]", "%", "%41", "%zz", "+", "&", "=",
	" ", "\t", "\n", "\r", "\x00", "\x7f", "\\", "\"", "'", "{", "}", "_", "-", ".", "~", ";", ",", "<", ">", "|", "^", "`",
	"\u2028", "\u0085", "\ufeff", "＠", "℀", "İ", "ß", "😀", "\ufffd", "__extra__", "http://", "postgres://",
}

func randomText(random *rand.Rand) string {
	var text strings.Builder
	for range random.IntN(8) {
		text.WriteString(nasty[random.IntN(len(nasty))])
	}
	return text.String()
}

func randomConnection(random *rand.Rand) Connection {
	field := func() *string {
		if random.IntN(3) == 0 {
			return nil
		}
		return new(randomText(random))
	}
	types := []string{"postgres", "http", "google_cloud_platform", "s3", "a+b.c", "x_"}
	conn := Connection{
		ID: "id", Type: types[random.IntN(len(types))],
		Description: field(), Host: field(), Login: field(), Schema: field(),
	}
	if text := field(); text != nil {
		conn.Password = new(secret.New(*text))
	}
	if random.IntN(2) == 0 {
		conn.Port = new(uint16(random.IntN(3) * 32767))
	}
	if random.IntN(3) > 0 {
		object, _ := json.Marshal(map[string]any{randomText(random): randomText(random), "n": random.IntN(9), "o": map[string]any{}})
		conn.Extra = new(secret.New(string(object)))
	}
	return conn
}

// randomURI is a URI as people and programs write them, escapes and ports gone wrong
// included, without what ParseURI reads otherwise on purpose.
func randomURI(random *rand.Rand) string {
	pick := func(choices ...string) string { return choices[random.IntN(len(choices))] }
	text := func(extra ...string) string {
		var out strings.Builder
		pieces := append([]string{"a", "B", "Cd", "9", "-", ".", "_", "~", "%20", "%2F", "%41", "%zz", "%", "%C3%A9", "%E2%82", "%FF%80", "+", "!", ";", ",", "'", "é", "É"}, extra...)
		for range random.IntN(5) {
			out.WriteString(pieces[random.IntN(len(pieces))])
		}
		return out.String()
	}
	uri := pick("postgres", "postgresql", "HTTP", "my-conn-type", "a+b") + "://"
	if uri != "HTTP://" {
		uri += pick("", "", "", "https://", "ftp+x://")
	}
	before := uri
	uri += pick("", "", text()+"@", text()+":"+text(":")+"@", text("@")+":"+text("@", ":", "=")+"@")
	uri += pick("", text(), text(), "DB.Example.Com", "[::1]", "[FE80::1%25Eth0]", "%44B.Example.com", "https%3A%2F%2FHost%2Fx")
	uri += pick("", "", ":", ":5432", ":0", ":00080", ":65535", ":65536", ":x", ":-1", ":٣")
	uri += pick("", "/", "/"+text("/", ":", "@", "="), "//"+text("/"))
	if strings.Contains(uri[len(before):], "://") {
		return randomURI(random)
	}
	uri += pick("", "", "?", "?"+query(random), "?"+query(random))
	return uri + pick("", "", "", "#", "#frag?x")
}

func query(random *rand.Rand) string {
	values := []string{"a=1", "b=x+y", "c", "=d", "", "a=2", "é=%C3%A9", "b=%FF", "f=a=b", "__extra__=%7B%22k%22%3A+1%7D", "__extra__=", "__extra__=no"}
	var pairs []string
	for range 1 + random.IntN(4) {
		pairs = append(pairs, values[random.IntN(len(values))])
	}
	return strings.Join(pairs, "&")
}
