package chart

import (
	"context"
	"maps"

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
	if err := r.createNamespace(ctx, Apart, "restricted"); err != nil {
		return err
	}
	if err := r.store(ctx, Apart, entries); err != nil {
		return err
	}
	core := maps.Clone(r.values()["referenceCore"].(map[string]any))
	core["namespace"], core["replicas"] = Apart, 2
	core["teams"] = []map[string]any{{"name": Team, "namespaces": []string{"leoflow-suite-*"}, "rulesConfigMapName": RulesName}}
	return r.Upgrade(ctx, map[string]any{"referenceCore": core})
}

// MoveCoreBack undoes that.
func (r *Release) MoveCoreBack(ctx context.Context, entries Entries) error {
	if err := r.store(ctx, Namespace, entries); err != nil {
		return err
	}
	if err := r.Upgrade(ctx, nil); err != nil {
		return err
	}
	return r.Client.CoreV1().Namespaces().Delete(ctx, Apart, metav1.DeleteOptions{})
}
