package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/stack"
)

// While core is away, a pod is given what its service account was given, and never what
// the token of another task had brought.
func TestOfflineGraceGivesNobodyWhatAnotherTaskHad(t *testing.T) {
	s := start(t, stack.Options{
		Connections: `{"warehouse": "mysql://u:first@h/s"}`, Variables: "{}", Rules: allowAll,
		DriverArgs: []string{"--offline-grace=1h"},
	})
	attributes := map[string]string{"connections": "warehouse"}
	byAccount, byTask := pod("account", token(t, s), attributes), pod("task", "", attributes)
	byTask.TaskToken = byAccount.Token
	byTask.ServiceAccount = "tasks"
	require.NoError(t, s.Kubelet.Publish(t.Context(), byAccount))
	require.NoError(t, s.Kubelet.Publish(t.Context(), byTask))
	require.NoError(t, s.Core.Stop())

	twin := pod("twin", byAccount.Token, attributes)
	require.NoError(t, s.Kubelet.Publish(t.Context(), twin))
	for name, as := range map[string]func(*stack.Pod){
		"garbage":           func(p *stack.Pod) { p.TaskToken = "garbage" },
		"the task's own":    func(p *stack.Pod) { p.TaskToken = byTask.TaskToken },
		"the account's own": func(p *stack.Pod) { p.Token = byAccount.Token },
	} {
		thief := pod("thief", "", attributes)
		thief.ServiceAccount = "tasks"
		as(&thief)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // too little to wait in
		require.ErrorContains(t, s.Kubelet.Publish(ctx, thief), "code = Unavailable", name)
		cancel()
	}
}
