package fetch

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const grace = time.Hour

func warehouse(password string) airflow.Connection {
	return airflow.Connection{ID: "warehouse", Type: "postgres", Host: new("db"), Login: new("etl"), Password: new(secret.New(password))}
}

func outcomeOf(value string) []provider.Outcome {
	connection := warehouse(value)
	return []provider.Outcome{{Entries: []entry.Entry{
		entry.OfConnection(connection, "1"), entry.OfVariable("region", secret.New("north"), "1"),
	}}}
}

func TestACopyIsWhatWasGivenAndWipedInTheEnd(t *testing.T) {
	for name, end := range map[string]func(*memory){
		"expired":  func(*memory) { time.Sleep(grace); synctest.Wait() },
		"replaced": func(m *memory) { m.put("key", outcomeOf("second"), time.Now()) },
		"refused":  func(m *memory) { m.put("key", []provider.Outcome{{Err: provider.ErrDenied}}, time.Now()) },
		"one of a group refused": func(m *memory) {
			m.put("key", append(outcomeOf("second"), provider.Outcome{Err: provider.ErrUnauthenticated}), time.Now())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory(grace)
				m.put("key", outcomeOf("first"), time.Now())
				result, _, found := m.get("key")
				require.True(t, found)
				assert.Equal(t, outcomeOf("first")[0].Entries, result)
				var held [][]byte
				require.True(t, m.copies.Use("key", func(kept *memo) { held = kept.values }))
				end(&m)
				require.Len(t, held, 2)
				for _, value := range held {
					assert.Equal(t, make([]byte, len(value)), value)
				}
			})
		})
	}
}

// What a source withholds for now says nothing of what it gave.
func TestACopyOutlivesWhatIsWithheld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(grace)
		m.put("key", outcomeOf("first"), time.Now())
		withheld := entry.Refused(entry.Name{Kind: entry.Connection, ID: "warehouse"}, entry.Unavailable, "it asks too much")
		m.put("key", []provider.Outcome{{Entries: []entry.Entry{withheld}}}, time.Now())
		kept, _, found := m.get("key")
		require.True(t, found)
		assert.Equal(t, outcomeOf("first")[0].Entries, kept)
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(grace)
		for i := range 100 {
			m.put(strconv.Itoa(i), outcomeOf(strings.Repeat("x", mostRemembered/10)), time.Now())
			time.Sleep(time.Second)
		}
		assert.Equal(t, 9, m.copies.Len())
		assert.True(t, m.copies.Use("99", func(*memo) {}), "the newest are kept")
		m.put("huge", outcomeOf(strings.Repeat("x", mostRemembered)), time.Now())
		assert.False(t, m.copies.Use("huge", func(*memo) {}))
		time.Sleep(grace)
		synctest.Wait()
		assert.Zero(t, m.copies.Len())
	})
}
