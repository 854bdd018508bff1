package core_test

import (
	"testing"

	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

func TestClientKeepsTheContract(t *testing.T) {
	t.Parallel()
	for _, contract := range []struct {
		name   string
		speak  func(*memory)
		denies bool
	}{
		{"ours", (*memory).speakOurs, true},
		{"the existing one", (*memory).speakExisting, false},
		{"both", func(m *memory) { m.speakOurs(); m.speakExisting() }, true},
	} {
		t.Run(contract.name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, providertest.Harness{
				Authenticates: true,
				Denies:        contract.denies,
				Serve: func(t *testing.T, world providertest.World) providertest.Source {
					log := new(logged)
					remote := newMemory(world)
					contract.speak(remote)
					authority := newAuthority(t, "core's authority")
					address, stop := remote.serve(t, "127.0.0.1:0", authority.serverTLS(t, authority.issue(t, "core"), false))
					return providertest.Source{
						Provider:    newClient(t, core.Config{Address: address, CAFile: authority.file, Logger: log.logger()}),
						SetVariable: remote.setVariable,
						Freeze:      func() { remote.freeze(t) },
						Break:       stop,
						Log:         log.String,
					}
				},
			})
		})
	}
}
