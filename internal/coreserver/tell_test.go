package coreserver

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
)

func TestATeamIsToldInItsNamespaces(t *testing.T) {
	var said []string
	telling := telling{tell: func(namespace, reason, message string) { said = append(said, namespace+" "+reason+": "+message) }}
	teams := []rule.Team{{Name: "payments", Namespaces: rule.Patterns{"payments", "payments-*", "pay"}}, {Name: "bank", Namespaces: rule.Patterns{"bank"}}}
	begin := time.Unix(0, 0)
	broken := store.Status{File: "rules/payments.yaml", Team: "payments", Fault: "is not YAML", Since: begin}
	sound := []store.Status{{File: "rules/bank.yaml", Team: "bank"}, {File: "rules/admin.yaml", Fault: "the admin's own"}}
	const message = " FileNotInForce: since 1970-01-01T00:00:00Z what rules/payments.yaml of team payments holds is not in force, and what was last read from it is: "

	telling.of(append(sound, broken), teams, begin)
	assert.Equal(t, []string{"payments" + message + "is not YAML", "pay" + message + "is not YAML"}, said)
	telling.of(append(sound, broken), teams, begin.Add(toldFor-1))
	assert.Len(t, said, 2, "they know")
	telling.of(append(sound, broken), teams, begin.Add(toldFor))
	assert.Len(t, said, 4, "it lasts")
	broken.Fault = "is empty"
	telling.of(append(sound, broken), teams, begin.Add(toldFor))
	assert.Len(t, said, 6, "it is another")
	telling.of(sound, teams, begin.Add(toldFor))
	telling.of(append(sound, broken), teams, begin.Add(toldFor))
	assert.Len(t, said, 8, "it was well in between")

	said = nil
	for _, namespace := range []string{"payments-eu", "payment", "bank", "payments", ""} {
		telling.seen.note(auth.Caller{Namespace: namespace}, begin)
	}
	telling.of(append(sound, broken), teams, begin.Add(toldFor))
	assert.Equal(t, []string{"payments-eu" + message + "is empty"}, said, "a pod of it has called since")
	telling.of(append(sound, broken), teams, begin.Add(2*toldFor-1))
	assert.Len(t, said, 1)
	telling.of(append(sound, broken), teams, begin.Add(2*toldFor))
	assert.Len(t, said, 4)
}

// A team whose pattern is for everything, and everybody calls: some are told, and little is kept.
func TestFewNamespacesOfAPatternAreTold(t *testing.T) {
	said := map[string]int{}
	telling := telling{tell: func(namespace, _, _ string) { said[namespace]++ }}
	begin := time.Unix(0, 0)
	for i := range 3 * mostCallers {
		telling.seen.note(auth.Caller{Namespace: fmt.Sprint("team-", i)}, begin.Add(time.Duration(i)))
	}
	assert.Len(t, telling.seen.lately(), mostCallers)
	teams := []rule.Team{{Name: "all", Namespaces: rule.Patterns{"team-*"}}}
	telling.of([]store.Status{{File: "rules/all.yaml", Team: "all", Fault: "is not YAML", Since: begin}}, teams, begin)
	assert.Len(t, said, mostTold)
	assert.Equal(t, 1, said[fmt.Sprint("team-", 3*mostCallers-1)], "the latest")
	assert.Zero(t, said["team-0"])
}
