package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/internal/kube"
)

func TestAwaitRolloutTellsEachStepOnceAndEndsWithTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := []kube.Rollout{{Nodes: 2, Ready: 2}, {Nodes: 2, Ready: 0, Known: true}, {Nodes: 2, Ready: 0, Known: true}, {}, {Nodes: 2, Ready: 2, Known: true}}
		asked := 0
		read := func(context.Context) (kube.Rollout, error) {
			asked++
			if asked == 4 {
				return kube.Rollout{}, errors.New("the API server hung up")
			}
			return steps[asked-1], nil
		}
		var out bytes.Buffer
		began := time.Now()
		assert.NoError(t, awaitRollout(t.Context(), &out, time.Second, read))
		assert.Equal(t, 4*time.Second, time.Since(began))
		const nodes = " of 2 nodes have a driver of this version that is ready\n"
		assert.Equal(t, "2"+nodes+"0"+nodes+"the API server hung up\n2"+nodes, out.String())
	})
}

func TestAwaitRolloutThatIsEndedFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		read := func(context.Context) (kube.Rollout, error) { return kube.Rollout{Nodes: 1, Known: true}, nil }
		err := awaitRollout(ctx, new(bytes.Buffer), time.Second, read)
		assert.EqualError(t, err, "giving up: 0 of 1 nodes have a driver of this version that is ready")
	})
}

func TestUninstallIsRefusedByNamingPods(t *testing.T) {
	assert.NoError(t, refuseUsed(nil))
	assert.EqualError(t, refuseUsed([]string{"airflow/task", "default/one"}),
		"these pods have volumes of secrets.csi.leoflow.io, and without the driver they could not end; "+
			"delete them first, or uninstall with --no-hooks:\n  airflow/task\n  default/one")
	var many []string
	for i := range 250 {
		many = append(many, fmt.Sprintf("airflow/task-%d", i))
	}
	assert.ErrorContains(t, refuseUsed(many), "airflow/task-99\n  and 150 more")
}
