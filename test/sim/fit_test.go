//go:build sim

package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// rows are of 250 nodes and on, doubling.
func rows(memory ...int64) (all []figures) {
	nodes := 250
	for _, taken := range memory {
		all = append(all, figures{nodes: nodes, anonymous: taken})
		nodes *= 2
	}
	return all
}

func TestLineThroughRowsThatGrowLinearly(t *testing.T) {
	all := rows(4000+250*60, 4000+500*60, 4000+1000*60)
	l := fit(all)
	assert.InDelta(t, 4000, l.base, 1)
	assert.InDelta(t, 60, l.each, 0.001)
	assert.Less(t, l.furthest(all), 0.0001)
}

func TestLineOfWhatGrowsFasterIsNone(t *testing.T) {
	all := rows(250*250, 500*500, 1000*1000, 2000*2000)
	assert.Greater(t, fit(all).furthest(all), mostOff)
}
