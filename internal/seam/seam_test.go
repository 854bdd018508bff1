package seam

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

func TestWhatCanShareACallHasOneShortKey(t *testing.T) {
	pod := call.Identity{Namespace: "airflow", ServiceAccount: "etl", PodName: "a"}
	asked := func(names ...string) call.Request { return call.Request{Connections: call.Selection{Names: names}} }
	key := KeyOf("vault", pod, asked("a", "b"))
	another := pod
	another.PodName = "b"
	assert.Equal(t, key, KeyOf("vault", another, asked("b", "a")), "in whatever order, whichever pod")

	other, withToken := pod, pod
	other.ServiceAccount, withToken.TaskToken = "report", true
	for name, differs := range map[string]string{
		"source":          KeyOf("core", pod, asked("a", "b")),
		"service account": KeyOf("vault", other, asked("a", "b")),
		"task's token":    KeyOf("vault", withToken, asked("a", "b")),
		"names":           KeyOf("vault", pod, asked("a")),
		"kind":            KeyOf("vault", pod, call.Request{Variables: call.Selection{Names: []string{"a", "b"}}}),
		"all":             KeyOf("vault", pod, call.Request{Connections: call.Selection{All: true}}),
	} {
		assert.NotEqual(t, key, differs, name)
	}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint("conn_", i))
	}
	assert.Len(t, KeyOf("vault", pod, asked(many...)), len(key))
}
