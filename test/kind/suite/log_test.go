package suite

import (
	"context"
	"strings"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
)

// logOf is what the drivers or cores have logged.
func (s *scenario) logOf(component string) string {
	s.Helper()
	pods, err := s.product.Pods(s.Ctx, component)
	require.NoError(s, err)
	return s.logOfPods(pods...)
}

func (s *scenario) logOfPods(pods ...corev1.Pod) string {
	s.Helper()
	var all strings.Builder
	for _, pod := range pods {
		for _, container := range pod.Spec.Containers {
			err := await.Until(s.Ctx, func() bool { // kubelet, whom the API server asks, may be away
				options := &corev1.PodLogOptions{Container: container.Name}
				content, err := s.Client.CoreV1().Pods(chart.Namespace).GetLogs(pod.Name, options).DoRaw(s.Ctx)
				all.Write(content)
				return err == nil
			})
			require.NoError(s, err)
		}
	}
	return all.String()
}

// lastOf is what they logged last, for a person.
func (s *scenario) lastOf(ctx context.Context, component string) string {
	pods, err := s.product.Pods(ctx, component)
	if err != nil {
		return err.Error()
	}
	lines := int64(20)
	var all strings.Builder
	for _, pod := range pods {
		for _, container := range pod.Spec.Containers {
			options := &corev1.PodLogOptions{Container: container.Name, TailLines: &lines}
			content, err := s.Client.CoreV1().Pods(chart.Namespace).GetLogs(pod.Name, options).DoRaw(ctx)
			all.Write(content)
			if err != nil {
				all.WriteString(err.Error())
			}
		}
	}
	return all.String()
}
