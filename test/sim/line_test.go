//go:build sim

package sim

import "math"

// line is how core's memory grows, in bytes: what it takes by itself, and for each node.
type line struct{ base, each float64 }

// fit is the line of least squares, of how far each row is off it by its own measure: the
// large rows would else leave no say to the small ones.
func fit(all []figures) line {
	var one, x, y, xx, xy float64
	for _, f := range all {
		nodes, memory := float64(f.nodes), float64(f.anonymous)
		weight := 1 / (memory * memory)
		one += weight
		x += weight * nodes
		y += weight * memory
		xx += weight * nodes * nodes
		xy += weight * nodes * memory
	}
	each := (one*xy - x*y) / (one*xx - x*x)
	return line{base: (y - each*x) / one, each: each}
}

func (l line) at(nodes int) float64 { return l.base + l.each*float64(nodes) }

// off is how far a row is off the line, by its own measure.
func (l line) off(f figures) float64 { return float64(f.anonymous)/l.at(f.nodes) - 1 }

// furthest is how far the row is off that is off the most.
func (l line) furthest(all []figures) (most float64) {
	for _, f := range all {
		most = max(most, math.Abs(l.off(f)))
	}
	return most
}
