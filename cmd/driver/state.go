package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
)

// readyTimeout bounds what somebody who asks how the node is waits for the CSI socket.
const readyTimeout = 3 * time.Second

// state says how the node is, for the fetcher to tell of.
func (p *parts) state(ctx context.Context) func() []byte {
	return func() []byte {
		ctx, cancel := context.WithTimeout(ctx, readyTimeout)
		defer cancel()
		encoded, err := json.Marshal(p.node(ctx))
		if err != nil {
			return nil // which is read as an error; there is nothing in it that could fail
		}
		return encoded
	}
}

func (p *parts) node(ctx context.Context) report.Node {
	states, away, memory := p.deliverer.Census(), p.deliverer.Unreachable(), p.deliverer.Memory()
	made := report.Node{
		VolumeBytes: p.bytes(states),
		Limit:       memory.Limit, ForVolumes: memory.Volumes, ForWork: memory.Work,
		HeldVolumes: memory.HeldVolumes, HeldWork: memory.HeldWork, Largest: memory.Largest(),
	}
	for _, name := range p.seam.Sources() {
		state := report.StateOf(name, states, time.Now())
		_, state.IsAway = away[name]
		made.Sources = append(made.Sources, state)
	}
	var err error
	if made.Unclaimed, err = p.deliverer.Unclaimed(); err != nil {
		made.Unclaimed = -1
	}
	if err := p.server.Ready(ctx); err != nil {
		made.NotReady = err.Error()
	}
	return made
}

// bytes leaves out volumes that go while they are measured.
func (p *parts) bytes(states []report.State) (sum int64) {
	measured := map[string]bool{} // a volume of two sources has two states
	for _, state := range states {
		if measured[state.TargetPath] {
			continue
		}
		measured[state.TargetPath] = true
		if usage, err := p.deliverer.Stats(state.TargetPath); err == nil {
			sum += usage.Bytes.Used
		}
	}
	return sum
}
