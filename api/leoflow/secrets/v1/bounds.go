// Package secretsv1 is the contract between the node driver and core.
package secretsv1

// Bounds of one Fetch. A core refuses what is beyond them, and a driver splits its pods
// over several calls within them.
const (
	// MaxCallers bounds the callers of a call.
	MaxCallers = 1 << 10
	// MaxNames bounds the names of a selection.
	MaxNames = 1 << 12
	// MaxDecisions bounds callers times names: each name is decided for each caller.
	MaxDecisions = 1 << 16
	// MaxRefusals bounds the bytes of an answer that refuses every name to every caller.
	MaxRefusals = 8 << 20

	// refusalSize is what a refusal takes beside its name.
	refusalSize = 64
	// namesOfAll is how many names a selection of all counts as, for nobody but core knows
	// how many it is.
	namesOfAll = MaxNames / 4
)

// MostCallers is how many callers may ask for these two selections in one call, one at
// least.
func MostCallers(connections, variables *Selection) int {
	names, size := 0, 0
	for _, selection := range []*Selection{connections, variables} {
		if selection.GetAll() {
			names += namesOfAll
		}
		for _, name := range selection.GetNames() {
			names++
			size += len(name) + refusalSize
		}
	}
	most := MaxCallers
	if names > 0 {
		most = min(most, MaxDecisions/names)
	}
	if size > 0 {
		most = min(most, MaxRefusals/size)
	}
	return max(most, 1)
}
