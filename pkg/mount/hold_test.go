package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// held is an entry that cannot be had, for the reason given.
func held(kind layout.Kind, id, why string) Entry {
	return Entry{Entry: layout.Entry{Kind: kind, ID: id, State: layout.Invalid}, Hold: true, Why: why}
}

// linesOf are the lines of the volume's manifest by id.
func linesOf(t *testing.T, target string) map[string]layout.Entry {
	t.Helper()
	current, err := Current(target)
	require.NoError(t, err)
	lines := map[string]layout.Entry{}
	for _, entry := range current.Manifest.Entries {
		lines[entry.ID] = entry
	}
	return lines
}

func readIn(t *testing.T, target, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(target, path))
	require.NoError(t, err)
	return string(data)
}

func TestAHeldEntryIsCarriedOver(t *testing.T) {
	target := newVolume(t, megabyte)
	_, err := Write(target, newContent())
	require.NoError(t, err)

	content := newContent()
	content.Manifest.Fetched = fetched.Add(time.Minute)
	content.Entries = []Entry{held(layout.Connection, "warehouse", "away"), newEntry(layout.Variable, "region", "south")}
	outcome, err := Write(target, content)
	require.NoError(t, err)
	assert.True(t, outcome.Changed)
	assert.Empty(t, outcome.Withdrawn)
	assert.Equal(t, "postgres://warehouse", readIn(t, target, "connections/warehouse"))
	assert.JSONEq(t, `{"warehouse": "postgres://warehouse"}`, readIn(t, target, layout.ConnectionsJSON))
	assert.Equal(t, "south", readIn(t, target, "variables/region"))
	want := newContent().Entries[0].Entry
	want.Held = &layout.Held{Since: fetched.Add(time.Minute), Why: "away"}
	assert.Equal(t, want, linesOf(t, target)["warehouse"])
	assert.Nil(t, linesOf(t, target)["region"].Held)

	content.Manifest.Fetched = fetched.Add(time.Hour)
	content.Entries[0].Why = "still away"
	outcome, err = Write(target, content)
	require.NoError(t, err)
	assert.False(t, outcome.Changed, "another reason is no other generation")
	want.Held.Why = "still away"
	assert.Equal(t, want, linesOf(t, target)["warehouse"], "it has been held since then")

	content.Entries[0] = newContent().Entries[0]
	_, err = Write(target, content)
	require.NoError(t, err)
	assert.Equal(t, newContent().Entries[0].Entry, linesOf(t, target)["warehouse"])
}

func TestThatAnEntryIsHeldWakesNobody(t *testing.T) {
	target := newVolume(t, megabyte)
	_, err := Write(target, newContent())
	require.NoError(t, err)
	before, awoken := shown(t, target), watch(t, target)
	require.NoError(t, os.WriteFile(filepath.Join(target, layout.DataLink, manifestTemp), []byte("a killed writer's"), 0o600))

	content := newContent()
	content.Manifest.Fetched = fetched.Add(time.Minute)
	content.Entries[0] = held(layout.Connection, "warehouse", "away")
	outcome, err := Write(target, content)
	require.NoError(t, err)
	assertOutcome(t, Outcome{Generation: 1}, outcome)
	assert.NotNil(t, linesOf(t, target)["warehouse"].Held)
	assert.Equal(t, before, shown(t, target))
	assert.False(t, awoken())
	current, err := Current(target)
	require.NoError(t, err)
	assert.True(t, current.Confirmed.Equal(fetched.Add(time.Minute)))
	assert.True(t, current.Manifest.Fetched.Equal(fetched), "the generation was made then")
	assert.NoFileExists(t, filepath.Join(target, layout.DataLink, manifestTemp))
	assertAccess(t, target, content)
}

func TestWhatIsNotThereCannotBeHeld(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, target string){
		"a new volume":         func(*testing.T, string) {},
		"not delivered before": func(t *testing.T, target string) { write(t, target, newContent().Entries[1]) },
		"its file lost": func(t *testing.T, target string) {
			write(t, target, newContent().Entries...)
			require.NoError(t, os.Remove(filepath.Join(target, "connections/warehouse")))
		},
		"its value for Airflow lost": func(t *testing.T, target string) {
			write(t, target, newContent().Entries...)
			require.NoError(t, os.WriteFile(filepath.Join(target, layout.ConnectionsJSON), []byte("{"), 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := newVolume(t, megabyte)
			prepare(t, target)
			write(t, target, held(layout.Connection, "warehouse", "away"), newContent().Entries[1])
			assert.Equal(t, layout.Entry{Kind: "connection", ID: "warehouse", State: layout.Invalid}, linesOf(t, target)["warehouse"])
			assert.NoFileExists(t, filepath.Join(target, "connections/warehouse"))
			assert.Equal(t, "{}\n", readIn(t, target, layout.ConnectionsJSON))
			assert.Equal(t, "north", readIn(t, target, "variables/region"))
		})
	}
}

func write(t *testing.T, target string, entries ...Entry) Outcome {
	t.Helper()
	content := newContent()
	content.Entries = entries
	outcome, err := Write(target, content)
	require.NoError(t, err)
	return outcome
}

func TestAnEntryThatIsWaitedForStaysAsItStands(t *testing.T) {
	target := newVolume(t, megabyte)
	missing := Entry{Entry: layout.Entry{Kind: layout.Variable, ID: "absent", State: layout.Missing}}
	write(t, target, append(newContent().Entries, missing)...)
	before := linesOf(t, target)

	waiting := []Entry{
		held(layout.Connection, "warehouse", ""), held(layout.Variable, "absent", ""), held(layout.Variable, "never seen", ""), newContent().Entries[1],
	}
	assert.False(t, write(t, target, waiting...).Changed)
	assert.Equal(t, before, linesOf(t, target))
}

func TestTheRestStays(t *testing.T) {
	target := newVolume(t, megabyte)
	write(t, target, newContent().Entries...)
	content := newContent()
	content.Entries, content.Rest = []Entry{{Entry: layout.Entry{Kind: layout.Connection, ID: "warehouse", State: layout.Denied}}}, true
	outcome, err := Write(target, content)
	require.NoError(t, err)
	assert.Equal(t, []layout.Entry{newContent().Entries[0].Entry}, outcome.Withdrawn)
	assert.Equal(t, "north", readIn(t, target, "variables/region"))
	assert.NoFileExists(t, filepath.Join(target, "connections/warehouse"))
	assert.Equal(t, layout.Denied, linesOf(t, target)["warehouse"].State)
}

func TestWhatIsCarriedStaysAsItStands(t *testing.T) {
	target := newVolume(t, megabyte)
	write(t, target, newContent().Entries...)
	before := linesOf(t, target)
	content := newContent()
	content.Entries = []Entry{{Entry: layout.Entry{Kind: layout.Connection, ID: "warehouse", State: layout.Denied}}}
	content.Carry = func(name layout.Name) bool { return name.ID == "region" }
	outcome, err := Write(target, content)
	require.NoError(t, err)
	assert.Equal(t, []layout.Entry{newContent().Entries[0].Entry}, outcome.Withdrawn)
	assert.Equal(t, "north", readIn(t, target, "variables/region"))
	assert.Equal(t, before["region"], linesOf(t, target)["region"])

	content.Carry = func(layout.Name) bool { return false }
	outcome, err = Write(target, content)
	require.NoError(t, err)
	assert.Equal(t, []layout.Entry{newContent().Entries[1].Entry}, outcome.Withdrawn)
	assert.NoFileExists(t, filepath.Join(target, "variables/region"))
}

func TestEqualBytesKeepTheirVersion(t *testing.T) {
	target := newVolume(t, megabyte)
	write(t, target, newContent().Entries...)
	again := newContent()
	for i := range again.Entries {
		again.Entries[i].Version = "of another process"
	}
	assert.False(t, write(t, target, again.Entries...).Changed)
	assert.Equal(t, "1", linesOf(t, target)["region"].Version)

	again.Entries[1] = newEntry(layout.Variable, "region", "south")
	again.Entries[1].Version = "2"
	assert.True(t, write(t, target, again.Entries...).Changed)
	assert.Equal(t, "2", linesOf(t, target)["region"].Version)
	assert.Equal(t, "1", linesOf(t, target)["warehouse"].Version)
}

func TestALineThatDiffersAloneIsNoOtherGeneration(t *testing.T) {
	target := newVolume(t, megabyte)
	write(t, target, newContent().Entries...)
	content := newContent()
	content.Entries[0].Notices = []layout.Notice{{Code: "code", Message: "message"}}
	assert.False(t, write(t, target, content.Entries...).Changed)
	assert.Equal(t, content.Entries[0].Notices, linesOf(t, target)["warehouse"].Notices)
}

// capped is a content that may take as much as newVolume was given.
func capped(cap int64, entries ...Entry) Content {
	content := newContent()
	content.Entries, content.Cap = entries, cap
	return content
}

// sized is a variable with a value of so many bytes.
func sized(id string, bytes int) Entry {
	return newEntry(layout.Variable, id, strings.Repeat("x", bytes))
}

func TestAVolumeIsReplacedAndWithdrawnFromUpToItsCap(t *testing.T) {
	const cap = 512 << 10
	target := newVolume(t, cap)
	_, err := Write(target, capped(cap, sized("big", 200<<10), newContent().Entries[0]))
	require.NoError(t, err)
	outcome, err := Write(target, capped(cap, newEntry(layout.Variable, "big", strings.Repeat("y", 200<<10)), newContent().Entries[0]))
	require.NoError(t, err)
	assert.True(t, outcome.Changed, "it rotates")

	outcome, err = Write(target, capped(cap, newEntry(layout.Variable, "big", strings.Repeat("y", 200<<10))))
	require.NoError(t, err)
	assert.Len(t, outcome.Withdrawn, 1)
	assert.NoFileExists(t, filepath.Join(target, "connections/warehouse"))
	usage, err := Stats(target)
	require.NoError(t, err)
	assert.EqualValues(t, cap, usage.Bytes.Total)
}

func TestANewVolumeFitsWholeOrNotAtAll(t *testing.T) {
	const cap = 64 << 10
	target := newVolume(t, cap)
	_, err := Write(target, capped(cap, sized("big", 60<<10)))
	require.ErrorIs(t, err, ErrFull)
	require.ErrorContains(t, err, "volume is full: 4 files need 135168 bytes, and 65536 is the cap")
	_, err = Current(target)
	require.ErrorIs(t, err, ErrNoGeneration)
}

// "*" brings as many broken entries as somebody cares to make.
func TestAManifestThatNobodyCanReadIsNotWritten(t *testing.T) {
	const cap = 16 << 20
	target := newVolume(t, cap)
	_, err := Write(target, capped(cap, sized("kept", 10)))
	require.NoError(t, err)
	entries := []Entry{sized("kept", 10)}
	for i := range 20_000 {
		entries = append(entries, Entry{Entry: layout.Entry{Kind: layout.Variable, ID: fmt.Sprint("broken", i), State: layout.Invalid,
			Notices: []layout.Notice{{Code: "invalid", Message: strings.Repeat("x", 100)}}}})
	}
	_, err = Write(target, capped(cap, entries...))
	require.ErrorIs(t, err, ErrFull)
	require.ErrorContains(t, err, "the manifest of 20001 entries has ")
	shown, err := Current(target)
	require.NoError(t, err)
	assert.Equal(t, uint64(1), shown.Manifest.Generation)
	assert.Len(t, readIn(t, target, "variables/kept"), 10)
}

func TestANewVolumeDoesWithoutOptionalEntriesThatDoNotFit(t *testing.T) {
	const cap = 64 << 10
	big, bigger := sized("big", 20<<10), sized("bigger", 100<<10)
	big.Optional, bigger.Optional = true, true

	target := newVolume(t, cap)
	outcome, err := Write(target, capped(cap, big, bigger, sized("needed", 10)))
	require.NoError(t, err)
	assert.Equal(t, uint64(1), outcome.Generation)
	lines := linesOf(t, target)
	assert.Equal(t, layout.Invalid, lines["bigger"].State)
	assert.Contains(t, lines["bigger"].Notices[0].Message, "its 102400 bytes do not fit: 65536 is the cap of all files of the volume")
	assert.Equal(t, layout.Delivered, lines["big"].State, "the largest is left out, and no more than has to be")
	assert.NoFileExists(t, filepath.Join(target, "variables/bigger"))

	_, err = Write(newVolume(t, cap), capped(cap, big, bigger, sized("needed", 60<<10)))
	require.ErrorIs(t, err, ErrFull)
}

func TestWhatGrowsBeyondTheCapIsHeldAndTheRestGoesOn(t *testing.T) {
	const cap = 64 << 10
	target := newVolume(t, cap)
	_, err := Write(target, capped(cap, sized("big", 10), sized("other", 10), sized("gone", 10)))
	require.NoError(t, err)

	outcome, err := Write(target, capped(cap, sized("big", 100<<10), sized("other", 4<<10), sized("new", 90<<10)))
	require.NoError(t, err)
	require.Len(t, outcome.Withdrawn, 1)
	assert.Equal(t, "gone", outcome.Withdrawn[0].ID)
	assert.Equal(t, strings.Repeat("x", 10), readIn(t, target, "variables/big"))
	assert.Len(t, readIn(t, target, "variables/other"), 4<<10)
	lines := linesOf(t, target)
	assert.Contains(t, lines["big"].Held.Why, "its 102400 bytes do not fit: 65536 is the cap of all files of the volume")
	assert.Equal(t, layout.Invalid, lines["new"].State)
	assert.Contains(t, lines["new"].Notices[0].Message, "its 92160 bytes do not fit")
}

// A volume of the release before is half as large, and one whose cap was lowered holds more
// than it may.
func TestAVolumeThatWasMadeTooSmallIsMadeLarger(t *testing.T) {
	const cap = 512 << 10
	target := newVolume(t, cap)
	_, err := Write(target, capped(cap, sized("big", 200<<10), newContent().Entries[0]))
	require.NoError(t, err)
	dir, err := openTarget(target)
	require.NoError(t, err)
	defer dir.close()
	require.NoError(t, resize(dir, cap, inodesOf(cap)))

	for _, lowered := range []int64{cap, 64 << 10} {
		content := capped(lowered, newEntry(layout.Variable, "big", strings.Repeat("y", 200<<10)), newEntry(layout.Connection, "warehouse", "at "+time.Duration(lowered).String()))
		outcome, err := Write(target, content)
		require.NoError(t, err)
		assert.True(t, outcome.Changed)
	}
	outcome, err := Write(target, capped(64<<10, newEntry(layout.Variable, "big", strings.Repeat("y", 200<<10))))
	require.NoError(t, err)
	assert.Len(t, outcome.Withdrawn, 1)

	var stat unix.Statfs_t
	require.NoError(t, unix.Statfs(target, &stat))
	assert.NotZero(t, stat.Flags&unix.ST_NOEXEC)
	assert.NotZero(t, stat.Flags&unix.ST_NOSUID)
	assert.NotZero(t, stat.Flags&unix.ST_NODEV)
}

// What only an environment can carry has no value in the file for Airflow, and is held all
// the same.
func TestAHeldEntryMayBeForTheEnvironmentAlone(t *testing.T) {
	target := newVolume(t, megabyte)
	content := newContent()
	content.Entries[0].JSON = nil
	content.Entries[0].Notices = []layout.Notice{{Code: layout.NoticeExtraIsText, Message: "words"}}
	_, err := Write(target, content)
	require.NoError(t, err)
	assert.JSONEq(t, `{}`, readIn(t, target, layout.ConnectionsJSON))

	content.Entries[0] = held(layout.Connection, content.Entries[0].ID, "away")
	_, err = Write(target, content)
	require.NoError(t, err)
	assert.JSONEq(t, `{}`, readIn(t, target, layout.ConnectionsJSON))
	assert.Equal(t, "postgres://warehouse", readIn(t, target, "connections/warehouse"))
	assert.Equal(t, layout.Delivered, linesOf(t, target)["warehouse"].State)
}
