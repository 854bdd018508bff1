package fetch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// A goroutine for each would be one for each entry of each pod that starts.
func TestWhatRefersToNothingIsDecidedOnInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, began := decider{apply: func(*entry.Entry) { time.Sleep(time.Second) }}, time.Now()
		_, refers, err := d.decide(t.Context(), seam.Work{}, seam.Volume{}, make([]entry.Entry, 5), 0)
		require.NoError(t, err)
		assert.False(t, refers)
		assert.Equal(t, 5*time.Second, time.Since(began))
	})
}
