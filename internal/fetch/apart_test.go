package fetch

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// refusesFirst refuses the first pod of a group, and gives the others a value for each name; no
// more than one name at a time.
type refusesFirst struct{ provider.Provider }

const valueOfPart = 1 << 10

func (refusesFirst) FetchGroup(_ context.Context, pods []provider.Identity, asked provider.Request) []provider.Outcome {
	outcomes := make([]provider.Outcome, len(pods))
	if len(asked.Variables.Names) > 1 {
		for i := range outcomes {
			outcomes[i].Err = provider.ErrTooLarge
		}
		return outcomes
	}
	outcomes[0].Err = provider.ErrUnauthenticated
	for i := range outcomes[1:] {
		for _, name := range asked.Variables.Names {
			value := secret.New(strings.Repeat("x", valueOfPart))
			outcomes[i+1].Entries = append(outcomes[i+1].Entries, entry.OfVariable(name, value, "1"))
		}
	}
	return outcomes
}

// A pod that is refused brings no bytes, and lifts the bound for no other of its group.
func TestPartsAreBoundedBesideARefusedPod(t *testing.T) {
	work := seam.Work{Source: "core", Volumes: make([]seam.Volume, 2), Room: 2 * valueOfPart}
	work.MaxBytes = 1 << 20
	for i := range 8 {
		work.Variables.Names = append(work.Variables.Names, fmt.Sprint("v", i))
	}
	tooLarge := []provider.Outcome{{Err: provider.ErrTooLarge}, {Err: provider.ErrTooLarge}}

	outcomes := fetchApart(t.Context(), refusesFirst{}, work, tooLarge)

	assert.ErrorIs(t, outcomes[0].Err, provider.ErrUnauthenticated)
	kept := 0
	for value := range values(outcomes[1].Entries) {
		kept += value.Len()
	}
	assert.Equal(t, 2*valueOfPart, kept, "bytes of values kept of the second pod")
}
