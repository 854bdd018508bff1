package entry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const needle = "n33dle"

// full has a needle in every part that may hold a secret.
func full() []Entry {
	conn := OfConnection(airflow.Connection{
		ID: "warehouse", Type: "postgres", Host: new(needle), Login: new(needle), Schema: new(needle), Description: new(needle),
		Password: new(secret.New(needle)), Extra: new(secret.New(needle)),
	}, "7")
	conn.Value, conn.JSON = []byte(needle), []byte(needle)
	text := OfVariable("region", secret.New(needle), "7")
	text.Value, text.JSON = []byte(needle), []byte(needle)
	return []Entry{conn, text}
}

func TestAnEntryPrintsWithoutItsValue(t *testing.T) {
	for _, e := range full() {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "entry", e, "pointer", &e, "list", []Entry{e})
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "entry", e, "list", []Entry{e})
		encoded, err := json.Marshal([]any{e, &e})
		require.NoError(t, err)
		shown := log.String() + string(encoded) + fmt.Sprintf("%v %+v %#v %s %q %x %d %v %+v %#v", e, e, e, e, e, e, e, &e, []Entry{e}, struct{ E Entry }{e})
		assert.NotContains(t, shown, needle)
		assert.NotContains(t, shown, fmt.Sprintf("%x", needle))
		assert.Contains(t, shown, e.ID)
	}
}

func TestWhatIsRefusedKeepsNothing(t *testing.T) {
	for _, e := range full() {
		e.Source, e.Env, e.File, e.Grade, e.Reference = "core", "E", "f", &Grade{State: "valid"}, &Reference{Cloud: "gcp"}
		e.Remark("delivered-as-json", "so it is")
		name := e.Name()

		e.Refuse(Invalid, "its seal is broken")

		want := Refused(name, Invalid, "its seal is broken")
		want.Reference = &Reference{Cloud: "gcp"}
		assert.True(t, assert.ObjectsAreEqual(want, e), "%#v", e.Entry)
		assert.Equal(t, "its seal is broken", e.Reason())
	}
	assert.Empty(t, Refused(Name{Kind: Variable, ID: "x"}, Missing, "").Reason())
}

func TestACloneSharesNoSecret(t *testing.T) {
	for _, e := range full() {
		cloned := e.Clone()
		count := 0
		for value := range cloned.Secrets() {
			*value = secret.New("wiped")
			count++
		}
		assert.Positive(t, count)
		for value := range e.Secrets() {
			assert.Equal(t, needle, value.Reveal())
		}
	}
}
