package logkey

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOfPanicTellsNoValue(t *testing.T) {
	for name, row := range map[string]struct {
		fault func(secret string, number int)
		cause string
	}{
		"a value":       {func(secret string, _ int) { panic("about " + secret) }, "value of type string"},
		"an error":      {func(secret string, _ int) { panic(errors.New(secret)) }, "value of type *errors.errorString"},
		"the runtime's": {func(secret string, _ int) { _ = []error{}[len(secret[:0])] }, "runtime error: index out of range [0] with length 0"},
	} {
		t.Run(name, func(t *testing.T) {
			var told []slog.Attr
			func() {
				defer func() { told = OfPanic(recover()) }()
				row.fault("needle", 0x5ec4e7)
			}()
			assert.Equal(t, row.cause, told[0].Value.String())
			assert.Contains(t, told[1].Value.String(), "panic_test.go:")
			assert.NotContains(t, told[1].Value.String(), "0x", "words of arguments")
			assert.NotContains(t, told[1].Value.String(), "needle")
		})
	}
}
