// Package attack has one tenant of a node do what it may to all others, against the real programs
// with the chart's limits, and counts what the others saw. The counts are in docs/faults.md, which
// 'make attack' writes anew; 'go test' alone runs no attack.
package attack

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/test/stack"
)

var length = flag.Duration("for", 0, "how long each attack lasts, and half as long the quiet before it; 0 runs none")

func TestMain(m *testing.M) {
	flag.Parse()
	switch {
	case isAttacker():
		os.Exit(attackAs())
	case *length == 0 && !testneed.Listing():
		fmt.Println("no attack was asked for: run make attack")
		os.Exit(0)
	}
	os.Exit(mounttest.Run(m))
}

// build builds the programs once for all attacks.
var build = sync.OnceValues(func() (string, error) {
	return stack.Build(filepath.Join("..", ".."), "attack")
})

// begin ends a test whose attack cannot be run.
func begin(t *testing.T) {
	t.Helper()
	try := filepath.Join(cgroups, "memory", "attack-tried")
	if isUnified() {
		try = filepath.Join(cgroups, "attack-tried")
	}
	if err := errors.Join(os.Mkdir(try, 0o755), os.Remove(try)); err != nil {
		testneed.Missing(t, fmt.Sprintf("no cgroup can be made here (%v)", err))
	}
}

func binaries(t *testing.T) string {
	t.Helper()
	bin, err := build()
	require.NoError(t, err)
	return bin
}

// pause lets an attack last. It is the length of the attack, and not a wait for anything.
func pause(t *testing.T, length time.Duration) {
	t.Helper()
	select {
	case <-time.After(length):
	case <-t.Context().Done():
	}
}
