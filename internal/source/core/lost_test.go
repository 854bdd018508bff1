package core

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A call is made once more where the connection broke under it, or had broken already when gRPC
// gave it the call; not where core itself was heard.
func TestACallOutlivesItsConnection(t *testing.T) {
	for name, row := range map[string]struct {
		stands, breaks, comes bool
		code                  codes.Code
		calls                 int
	}{
		"it broke":               {stands: true, breaks: true, code: codes.Unavailable, calls: 2},
		"it had broken":          {code: codes.Unavailable, calls: 2},
		"core is busy":           {stands: true, code: codes.Unavailable, calls: 1},
		"core came and is busy":  {comes: true, code: codes.Unavailable, calls: 1},
		"core refuses":           {stands: true, breaks: true, code: codes.PermissionDenied, calls: 1},
		"core answers, and goes": {stands: true, breaks: true, code: codes.OK, calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			over, calls := &line{}, 0
			if row.stands {
				over.standing.Add(1)
			}
			_ = surviving(over)(t.Context(), "Fetch", nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
				calls++
				if row.breaks {
					over.broken.Add(1)
				}
				if row.comes {
					over.standing.Add(1)
				}
				return status.Error(row.code, "")
			})
			assert.Equal(t, row.calls, calls)
		})
	}
}
