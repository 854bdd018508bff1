package airflow

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documented is a table of the examples in Airflow's documentation. It says itself
// what its columns are.
//
//go:embed testdata/documented.tsv
var documented string

type example struct {
	name, page, form, outcome, field, text string
}

func examples(t *testing.T) []example {
	t.Helper()
	var all []example
	for line := range strings.Lines(documented) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.GreaterOrEqual(t, len(columns), 5, line)
		page, form, text := columns[0], columns[2], strings.ReplaceAll(columns[4], "⏎", "\n")
		if form == "extra" {
			form, text = "json", connectionWithExtra(t, text)
		}
		outcome, field, _ := strings.Cut(columns[3], " ")
		name := fmt.Sprintf("%s#%d", page, len(all)+1)
		all = append(all, example{name, page, form, outcome, field, text})
	}
	return all
}

func connectionWithExtra(t *testing.T, text string) string {
	t.Helper()
	connection, err := json.Marshal(map[string]string{"conn_type": "x", "extra": text})
	require.NoError(t, err)
	return string(connection)
}

func TestDocumentedExamplesAreCounted(t *testing.T) {
	pages := map[string]bool{}
	all := examples(t)
	for _, example := range all {
		pages[example.page] = true
	}
	assert.Contains(t, documented, fmt.Sprintf("%d of them on %d pages", len(all), len(pages)))
}

func TestDocumentedExamplesGoRound(t *testing.T) {
	for _, example := range examples(t) {
		t.Run(example.name, func(t *testing.T) {
			conn, err := Parse("id", example.text)
			if example.field != "" {
				var fault *FieldError
				require.ErrorAs(t, err, &fault)
				assert.Equal(t, example.field, fault.Field)
				return
			}
			require.NoError(t, err)
			assertGoesRound(t, conn)
		})
	}
}

func assertGoesRound(t *testing.T, conn Connection) {
	t.Helper()
	text := conn.JSON()
	assertSameReread(t, conn, string(text))
	uri, err := conn.URI()
	require.NoError(t, err)
	again, err := ParseURI("id", uri)
	require.NoError(t, err)
	assert.Equal(t, readingOf(conn).asURI(), readingOf(again))
	uriAgain, err := again.URI()
	require.NoError(t, err)
	assert.Equal(t, uri, uriAgain)
}

func TestAirflowAgreesWithTheDocumentedExamples(t *testing.T) {
	all := examples(t)
	questions := make([]question, len(all))
	for i, example := range all {
		questions[i] = question{example.form, example.text}
		if example.outcome == "meant" {
			questions[i].text = withHyphens(example.text)
		}
	}
	for i, answer := range askAirflow(t, questions) {
		conn, err := Parse("id", all[i].text)
		switch all[i].outcome {
		case "refused":
			assert.NotEmpty(t, answer.Error, all[i].name)
		case "stricter":
			assert.Empty(t, answer.Error, all[i].name)
		default:
			require.NoError(t, err, all[i].name)
			assertSameReading(t, answer.reading(t).withOurExtra(), readingOf(conn), all[i].name)
		}
	}
}

// withHyphens is a URI whose type has underscores as Airflow would have written it.
func withHyphens(uri string) string {
	scheme, rest, _ := strings.Cut(uri, ":")
	return strings.ReplaceAll(scheme, "_", "-") + ":" + rest
}

func TestAirflowManglesTheDocumentedExamplesReadAsMeant(t *testing.T) {
	var questions []question
	for _, example := range examples(t) {
		if example.outcome == "meant" {
			questions = append(questions, question{example.form, example.text})
		}
	}
	require.NotEmpty(t, questions)
	for _, answer := range askAirflow(t, questions) {
		assert.Empty(t, answer.reading(t).Type)
	}
}

func TestAirflowReadsTheDocumentedExamplesFromUs(t *testing.T) {
	var names []string
	var conns []Connection
	var questions []question
	for _, example := range examples(t) {
		conn, err := Parse("id", example.text)
		if err != nil {
			continue
		}
		uri, err := conn.URI()
		require.NoError(t, err, example.name)
		text := string(conn.JSON())
		names, conns = append(names, example.name), append(conns, conn)
		questions = append(questions, question{"uri", uri}, question{"json", text}, question{"file", text})
	}
	answers := askAirflow(t, questions)
	for i, conn := range conns {
		want := readingOf(conn)
		assertSameReading(t, want.asURI(), answers[3*i].reading(t), names[i])
		assertSameReading(t, want, answers[3*i+1].reading(t), names[i])
		assertSameReading(t, want, answers[3*i+2].reading(t), names[i])
	}
}
