package coreserver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

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
}
