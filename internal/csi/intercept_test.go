package csi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/report"
)

func TestACallIsOneLine(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.publish(t, r.publishRequest("good")))
	bad := r.publishRequest("bad")
	bad.Readonly = false
	require.Error(t, r.publish(t, bad))
	_, err := csi.NewIdentityClient(r.conn).Probe(t.Context(), &csi.ProbeRequest{})
	require.NoError(t, err)

	published := r.logs.lines(t, "NodePublishVolume")
	require.Len(t, published, 2)
	assert.Equal(t, "INFO", published[0]["level"])
	assert.Equal(t, "OK", published[0]["code"])
	assert.Equal(t, "good", published[0]["volume_id"])
	assert.Equal(t, "task-1", published[0]["pod"])
	assert.Equal(t, "airflow", published[0]["namespace"])
	assert.Positive(t, published[0]["duration"])
	assert.NotContains(t, published[0], "error")
	assert.Equal(t, "WARN", published[1]["level"])
	assert.Equal(t, "InvalidArgument", published[1]["code"])
	assert.Equal(t, "volumes[].csi.readOnly: must be true; a pod cannot write to its secrets", published[1]["error"])
	probed := r.logs.lines(t, "Probe")
	require.Len(t, probed, 1)
	assert.Equal(t, "DEBUG", probed[0]["level"])
}

// TestARepublishIsNoNews: kubelet makes one every minute for each volume.
func TestARepublishIsNoNews(t *testing.T) {
	r := newRig(t)
	for range 3 {
		require.NoError(t, r.publish(t, r.publishRequest("good")))
	}
	changed := r.publishRequest("good")
	changed.VolumeContext["connections"] = "warehouse, warehouse"
	require.NoError(t, r.publish(t, changed))
	var levels []any
	for _, line := range r.logs.lines(t, "NodePublishVolume") {
		levels = append(levels, line["level"])
	}
	assert.Equal(t, []any{"INFO", "DEBUG", "DEBUG", "WARN"}, levels)
}

// TestManyMissingEntriesAreFewWords counts what one try writes at the boundary.
func TestManyMissingEntriesAreFewWords(t *testing.T) {
	r := newRig(t)
	request := r.publishRequest("bad")
	var ids []string
	for i := range 500 {
		ids = append(ids, fmt.Sprintf("missing-%03d", i))
	}
	request.VolumeContext["connections"] = strings.Join(ids, ",")
	err := r.publish(t, request)
	require.Equal(t, codes.NotFound, status.Code(err))
	assert.LessOrEqual(t, len(status.Convert(err).Message()), maxMessage+len("…"))
	lines := r.logs.lines(t, "NodePublishVolume")
	require.Len(t, lines, 1)
	assert.Equal(t, status.Convert(err).Message(), lines[0]["error"])
	assert.Equal(t, request.GetTargetPath(), lines[0]["path"], "which the error does not tell the pod's author")
}

// faulty is a deliverer with a bug.
type faulty struct {
	Deliverer
	fault func() error
}

func (f faulty) Publish(context.Context, deliver.Volume) error { return f.fault() }

func TestABugStaysWithItsCall(t *testing.T) {
	for name, row := range map[string]struct {
		fault func() error
		cause string
	}{
		"panic with a value":            {func() error { panic("about " + podToken) }, "value of type string"},
		"panic of the runtime":          {func() error { return []error{}[len(Name[:0])] }, "runtime error: index out of range [0] with length 0"},
		"error that nobody vouches for": {func() error { return errors.New("about " + podToken) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(r *rig) {
				r.server.Driver.Deliverer = faulty{r.server.Driver.Deliverer, row.fault}
			})
			for range 2 { // the driver serves on
				err := r.publish(t, r.publishRequest("bug"))
				assert.Equal(t, codes.Internal, status.Code(err))
				assert.NotContains(t, err.Error(), podToken)
			}
			assert.NotContains(t, r.logs.String(), podToken)
			if row.cause != "" {
				panics := r.logs.lines(t, "NodePublishVolume")
				require.Len(t, panics, 4, "the panic and the call, twice")
				assert.Equal(t, row.cause, panics[0]["cause"])
				assert.Contains(t, panics[0]["stack"], "intercept_test.go")
			}
		})
	}
}

func TestEveryReasonHasItsCode(t *testing.T) {
	for reason, code := range map[report.Reason]codes.Code{
		report.Internal:        codes.Internal,
		report.Unavailable:     codes.Unavailable,
		report.Unauthenticated: codes.Unauthenticated,
		report.Denied:          codes.PermissionDenied,
		report.Missing:         codes.NotFound,
		report.Invalid:         codes.FailedPrecondition,
		report.NoSpace:         codes.ResourceExhausted,
		report.BadTarget:       codes.FailedPrecondition,
		report.Conflict:        codes.FailedPrecondition,
		report.Busy:            codes.Aborted,
		report.Reason(-1):      codes.Internal,
	} {
		err := statusOf(&report.Error{Reason: reason, Message: "told", Cause: errors.New(podToken)})
		assert.Equal(t, code, status.Code(err))
		assert.Equal(t, "told", status.Convert(err).Message())
	}
	assert.Equal(t, codes.Canceled, status.Code(statusOf(context.Canceled)))
	assert.Equal(t, codes.DeadlineExceeded, status.Code(statusOf(context.DeadlineExceeded)))
	assert.NoError(t, statusOf(nil))
}
