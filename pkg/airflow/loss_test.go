package airflow

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLosses(t *testing.T) {
	for text, want := range map[string][]string{
		"mysql://u:p%40@h/s?__extra__=%7B%22a%22%3A%22%23%22%7D": nil,
		"mysql://u:%EF%BF%BD@h?a=1&b=2":                          nil,
		`{"conn_type":"http","password":"#"}`:                    nil,
		" ":                                                      nil,
		"http://n33dle#en@h":                                     {`"#" ends the URI`},
		"mysql://u:n33dle%E9@h":                                  {"not UTF-8"},
		"mysql://h?a=n33dle%E9":                                  {"not UTF-8"},
		"mongodb://h/?t=1&t=n33dle":                              {"a key stands twice"},
		"mongodb://h/?t=1&%74=n33dle":                            {"a key stands twice"},
		"mysql://h/?__extra__=%7B%7D&ssl=n33dle":                 {"what stands beside __extra__"},
		"x://h?__extra__=%7B%7D&a=1&a=2#n33dle":                  {`"#" ends the URI`, "what stands beside __extra__", "a key stands twice"},
	} {
		losses := Losses(text)
		assert.Len(t, losses, len(want), text)
		for i := range min(len(want), len(losses)) {
			assert.Contains(t, losses[i], want[i], text)
		}
		assert.NotContains(t, strings.Join(losses, ""), "n33dle")
	}
}
