package nearest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWord(t *testing.T) {
	known := []string{"connections", "variables", "mode"}
	for misspelt, want := range map[string]string{
		"connection": "connections", "Connections": "connections", "vriables": "variables", "moed": "mode", "ode": "mode",
		"": "", "pod": "", "rode": "mode", "sode": "mode", "pasword": "", strings.Repeat("connections", 1000): "",
	} {
		got, ok := Word(misspelt, known)
		assert.Equal(t, want != "", ok, misspelt)
		if ok {
			assert.Equal(t, want, got, misspelt)
		}
	}
}
