package chart

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// Apart is the namespace of a core that is not with its drivers. It admits nothing that is
	// privileged.
	Apart = "leoflow-core"
	// Team has the suite's namespaces, by a pattern, and no entries.
	Team = "suite"
	// RulesName is the ConfigMap of the team's rules, which is not there at first.
	RulesName = "suite-rules"
)

// MoveCoreApart upgrades the release to two replicas of core in a namespace of their own, which
// have a team.
func (r *Release) MoveCoreApart(ctx context.Context, entries Entries) error {
	_, err := r.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: Apart, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	files, err := entries.sealed(r.sealKey)
	if err != nil {
		return err
	}
	for name, data := range map[string]map[string][]byte{
		entriesName: files, sealKeyName: {"key": []byte(r.sealKey)}, jwtKeyName: {"key": []byte(r.JWTKey)},
	} {
		if err := r.storeSecretIn(ctx, Apart, name, data); err != nil {
			return err
		}
	}
	core := maps.Clone(r.values()["referenceCore"].(map[string]any))
	core["namespace"], core["replicas"] = Apart, 2
	core["teams"] = []map[string]any{{"name": Team, "namespaces": []string{"leoflow-suite-*"}, "rulesConfigMapName": RulesName}}
	return r.Upgrade(ctx, map[string]any{"referenceCore": core})
}

// MoveCoreBack undoes that.
func (r *Release) MoveCoreBack(ctx context.Context, entries Entries) error {
	if err := r.store(ctx, entries); err != nil {
		return err
	}
	if err := r.Upgrade(ctx, nil); err != nil {
		return err
	}
	return r.Client.CoreV1().Namespaces().Delete(ctx, Apart, metav1.DeleteOptions{})
}
