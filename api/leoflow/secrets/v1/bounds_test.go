package secretsv1

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func names(count, length int) *Selection {
	selection := &Selection{}
	for i := range count {
		selection.Names = append(selection.Names, fmt.Sprintf("%0*d", length, i))
	}
	return selection
}

func TestMostCallers(t *testing.T) {
	all := &Selection{All: true}
	for name, row := range map[string]struct {
		connections, variables *Selection
		most                   int
	}{
		"nothing":                       {nil, nil, 1024},
		"one name":                      {names(1, 5), nil, 1024},
		"as many as may be":             {names(64, 5), nil, 1024},
		"one more":                      {names(64, 5), names(1, 5), 1008},
		"a thousand of each":            {names(1000, 5), names(1000, 5), 32},
		"all of both":                   {all, all, 32},
		"all and a name":                {all, names(1, 5), 63},
		"long names":                    {names(1000, 250), nil, 26},
		"more than fits for one":        {names(4096, 4096), nil, 1},
		"as many names as there may be": {names(4096, 5), names(4096, 5), 8},
	} {
		assert.Equal(t, row.most, MostCallers(row.connections, row.variables), name)
	}
	assert.Equal(t, 1, MostCallers(&Selection{Names: []string{strings.Repeat("x", MaxRefusals)}}, nil))
}
