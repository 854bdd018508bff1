package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/testheap"
)

// refused is a stranger's record.
func refused(peer string) Record {
	return Record{Time: time.Now().UTC(), Peer: peer, Decision: Unauthenticated, Detail: "token refused: it is not a JWT"}
}

func read(t *testing.T, text string) (records []Record) {
	for line := range strings.Lines(text) {
		var record Record
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		records = append(records, record)
	}
	return records
}

func TestRefusalsOfAPeerAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		log := NewLog(out)
		for i := range 1000 {
			require.NoError(t, write(t, log, refused(fmt.Sprint("10.0.0.1:", i))))
		}
		require.NoError(t, write(t, log, refused("10.0.0.2:1"), record()))
		written := read(t, out.String())
		assert.Len(t, written, InFull+2, "some of each peer are shown as they are, and all that was given")
		time.Sleep(interval + time.Second)
		synctest.Wait()
		sum := read(t, out.String())[len(written):]
		require.Len(t, sum, 1)
		assert.Equal(t, Record{
			Time: sum[0].Time, Peer: "10.0.0.1", Decision: Unauthenticated, Count: 1000 - InFull, Detail: "further refusals within 10s",
		}, sum[0])

		require.NoError(t, write(t, log, refused("10.0.0.1:1")))
		assert.Len(t, read(t, out.String()), len(written)+2, "an interval begins anew")
		require.NoError(t, log.Close(t.Context()))
		assert.Len(t, read(t, out.String()), len(written)+2, "nothing was counted since")
	})
}

// Of a known caller too: a thousand optional names that are not there are a thousand
// refusals at every poll.
func TestRefusalsOfACallerAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		log := NewLog(out)
		missing := record()
		missing.Decision = Missing
		other := missing
		other.Tenant = "other"
		for range 100 {
			require.NoError(t, write(t, log, missing, other))
		}
		assert.Len(t, read(t, out.String()), 2*InFull)
		out.begin(nil)
		require.NoError(t, log.Close(t.Context()))
		sums := read(t, out.String())
		require.Len(t, sums, 2, "what is counted is not lost when core stops")
		assert.Equal(t, 100-InFull, sums[0].Count)
		assert.Equal(t, auth.Caller{Tenant: sums[0].Tenant, DAG: "billing"}, sums[0].Caller, "which task it was differs from one to the next")
		assert.Equal(t, Missing, sums[0].Decision)
	})
}

// An attack of a minute from any number of peers takes less than ten kilobytes a second, and
// what is given is written all the same.
func TestRefusalsLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		log := NewLog(out)
		const seconds = 60
		for range seconds {
			for peer := range 1500 {
				require.NoError(t, write(t, log, refused(fmt.Sprintf("10.0.%d.%d:1", peer/250, peer%250))))
			}
			time.Sleep(time.Second)
		}
		require.NoError(t, log.Close(t.Context()))
		assert.Less(t, len(out.String())/seconds, 10<<10)
		counted, written := 0, read(t, out.String())
		for _, each := range written {
			counted += max(each.Count, 1)
		}
		assert.Equal(t, 1500*seconds, counted, "none is lost")
	})
}

func TestRefusalsAreCountedWhereThereIsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		log := NewLog(out)
		log.refusals.room = func() bool { return false }
		require.NoError(t, write(t, log, refused("10.0.0.1:1"), record(), refused("10.0.0.1:1")))
		assert.Len(t, read(t, out.String()), 1)
		require.NoError(t, log.Close(t.Context()))
		assert.Equal(t, 2, read(t, out.String())[1].Count)
	})
}

// A sum that cannot be written is written later, with what came meanwhile.
func TestASinkThatIsGoneAndBackLosesNoCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		log := NewLog(out)
		for range InFull + 5 {
			require.NoError(t, write(t, log, refused("10.0.0.1:1")))
		}
		out.begin(errors.New("disk full"))
		time.Sleep(interval + time.Second)
		synctest.Wait()
		require.NoError(t, write(t, log, refused("10.0.0.1:1")), "a refusal that is only counted needs no sink")
		out.begin(nil)
		time.Sleep(interval)
		synctest.Wait()
		sums := read(t, out.String())
		require.Len(t, sums, 1)
		assert.Equal(t, 6, sums[0].Count)
	})
}

// A caller may ask for a name of a MiB, and many callers for one each: 128 MiB of them were remembered
// until the interval's end. JSON writes a control character at six times its length: refusals of names
// of these took 24 KB a second of the log.
func TestALongNameTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		log := NewLog(out)
		denied := func(caller int, name string) Record {
			return Record{Time: time.Now().UTC(), Caller: auth.Caller{Tenant: "acme", DAG: fmt.Sprint(caller)}, Entry: name, Decision: Denied}
		}
		before := testheap.InUse()
		for caller := range 200 {
			require.NoError(t, write(t, log, denied(caller, strings.Repeat("x", 1<<20-caller))))
		}
		assert.Less(t, testheap.InUse()-before, int64(4<<20))
		assert.Empty(t, out.String(), "each alone is more than refusals may take at once")
		for caller := range 900 {
			require.NoError(t, write(t, log, denied(caller, strings.Repeat("\x01", 1000))))
		}
		assert.LessOrEqual(t, len(out.String()), burst)
		assert.Greater(t, len(out.String()), burst/2)
		require.NoError(t, log.Close(t.Context()))
	})
}

// A caller that has counted its refusals gives one record, of which the log shows none by itself.
func TestARecordMayStandForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		log := NewLog(out)
		many := refused("10.0.0.1:1")
		many.Count = 1000
		require.NoError(t, write(t, log, refused("10.0.0.1:1"), many))
		assert.Len(t, read(t, out.String()), 1)
		require.NoError(t, log.Close(t.Context()))
		written := read(t, out.String())
		require.Len(t, written, 2)
		assert.Equal(t, 1000, written[1].Count)
	})
}
