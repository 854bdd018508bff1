package envshim

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// start asks the kernel itself.
func start(program Program) error {
	process, err := os.StartProcess(program.Path, program.Args, &os.ProcAttr{Env: program.Environ})
	if err != nil {
		return err
	}
	_, err = process.Wait()
	return err
}

func TestFaultsAreTheKernels(t *testing.T) {
	limits := CurrentLimits()
	program := func(environ ...string) Program {
		return Program{Path: "/bin/true", Args: []string{"true", "argument"}, Environ: environ}
	}
	sized := func(name string, size int) string { return name + "=" + strings.Repeat("x", size-len(name)-2) }

	largest := program(sized("LARGE", limits.String))
	assert.Empty(t, limits.Faults(largest))
	assert.NoError(t, start(largest))

	tooLarge := program(sized("LARGE", limits.String+1))
	require.Len(t, limits.Faults(tooLarge), 1)
	assert.EqualError(t, limits.Faults(tooLarge)[0], "LARGE takes 131073 bytes with its name, and the kernel accepts 131072 in one variable: make the value smaller, or let the program read it from the volume, as Airflow does with --airflow-backend")
	assert.ErrorIs(t, start(tooLarge), syscall.E2BIG)

	fill := program(sized("A", limits.String))
	for len(limits.Faults(fill)) == 0 {
		fill.Environ = append(fill.Environ, sized("B", limits.String))
	}
	fault := limits.Faults(fill)[0].Error()
	assert.Contains(t, fault, "the largest are A (131072), B (131072), B (131072): ask for fewer entries")
	assert.ErrorIs(t, start(fill), syscall.E2BIG)
	fill.Environ = fill.Environ[1:]
	room := 0
	for size := limits.String; size > 0; size /= 2 { // the largest that still fits
		candidate := fill
		candidate.Environ = append([]string{sized("CCC", room+size+5)}, fill.Environ...)
		if room+size+5 <= limits.String && len(limits.Faults(candidate)) == 0 {
			room += size
		}
	}
	fits := fill
	fits.Environ = append([]string{sized("CCC", room+5)}, fill.Environ...)
	assert.Empty(t, limits.Faults(fits))
	assert.NoError(t, start(fits))
}
