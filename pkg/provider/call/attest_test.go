package call_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/pkg/provider/call"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestAPodIsWhoKubeletsTokensSay(t *testing.T) {
	own, other := providertest.Token("team", "etl", "s"), providertest.Token("team", "other", "s")
	pod := func(change func(*call.Identity)) call.Identity {
		made := call.Identity{Namespace: "team", ServiceAccount: "etl"}
		change(&made)
		return made
	}
	for name, row := range map[string]struct {
		pod      call.Identity
		attested bool
	}{
		"its token for core":          {pod(func(p *call.Identity) { p.Token = own }), true},
		"its token for a cloud":       {pod(func(p *call.Identity) { p.CloudTokens = map[string]secret.Text{"a": own} }), true},
		"no token":                    {pod(func(*call.Identity) {}), false},
		"another account's":           {pod(func(p *call.Identity) { p.Token = other }), false},
		"another namespace's":         {pod(func(p *call.Identity) { p.Token = providertest.Token("else", "etl", "s") }), false},
		"one that the author wrote":   {pod(func(p *call.Identity) { p.Token, p.TaskToken = own, true }), false},
		"no JSON web token":           {pod(func(p *call.Identity) { p.Token = secret.New("system:serviceaccount:team:etl") }), false},
		"no payload of JSON":          {pod(func(p *call.Identity) { p.Token = secret.New("a.bm9uZQ.c") }), false},
		"a payload in another coding": {pod(func(p *call.Identity) { p.Token = secret.New("a.!.c") }), false},
	} {
		assert.Equal(t, row.attested, row.pod.IsAttested(), name)
	}
}
