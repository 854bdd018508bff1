package budget

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What somebody holds open of volumes that are gone is charged, and no mount tells of it.
func TestWhatIsLeftBehindCounts(t *testing.T) {
	b := New(chartLimit, nil)
	measure := func(charged int64) { b.Measure(func() (int64, bool) { return charged * mebibyte, true }) }
	left := func() int64 { return b.State().HeldVolumes - b.Holds("/a") }

	b.Recall("/a", 10*mebibyte)
	measure(40)
	assert.Equal(t, int64(30*mebibyte), left(), "of an earlier driver, by the first measure")
	assert.Equal(t, []Part{{"", 40 * mebibyte}}, b.State().ByNamespace)
	measure(25)
	assert.Equal(t, int64(15*mebibyte), left(), "somebody let go")

	b.Hold("/a", 0)
	measure(25)
	assert.Equal(t, int64(15*mebibyte), left(), "the kernel may tell late of pages that have just gone")
	measure(25)
	assert.Equal(t, int64(25*mebibyte), left(), "which have not")

	turn := enter(t, b, "one", 20*mebibyte)
	measure(45)
	measure(45)
	assert.Equal(t, int64(25*mebibyte), left(), "what deliveries under way write is theirs")
	measure(50)
	measure(50)
	assert.Equal(t, int64(30*mebibyte), left(), "and no more")
	turn.Leave()

	b.Measure(func() (int64, bool) { return 0, false })
	assert.Equal(t, int64(30*mebibyte), left(), "nothing was told")
	measure(0)
	assert.Zero(t, b.State().HeldVolumes)
	measure(0)
	measure(0)
	b.Measure(func() (int64, bool) { return mostUnseen - 1, true })
	b.Measure(func() (int64, bool) { return mostUnseen - 1, true })
	assert.Zero(t, b.State().HeldVolumes, "nobody's in particular")
}
