package coreserver

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

const (
	// decisionSize is what a decision takes until the answer is gone: as a refusal, in
	// memory and on the wire.
	decisionSize = 256
	// copies of a value are held while it is answered: opened, as a message, and in the
	// connection's buffers.
	copies = 3
)

// admit waits until there is memory for a call that takes so much besides its request, which it has
// until its end. Until then the request counts as on its way in, where calls that wait have no more
// than the door allows: one that is too many is told so at once.
func (s *Server) admit(ctx context.Context, weight int64) error {
	call, peer := callOf(ctx), peerHost(ctx)
	weight += int64(call.waits)
	release := s.weight.Try(peer, weight)
	if release == nil {
		if call.over != nil && !call.over.MayWait() {
			return status.Error(codes.ResourceExhausted, gate.ErrCrowd.Error())
		}
		var err error
		if release, err = s.weight.Acquire(ctx, peer, weight); err != nil {
			return status.Error(codes.ResourceExhausted, err.Error())
		}
	}
	call.release = release
	call.arrived()
	return nil
}

// weightOf is about what answering these names takes at most for so many callers, who may be of
// as many teams.
func (d *decisions) weightOf(names []entry.Name, callers int) int64 {
	values := 0
	for _, name := range names {
		largest, teams := 0, 0
		for e := range d.snapshot.Named(name) {
			largest, teams = max(largest, e.Size()), teams+1
		}
		values += largest * min(teams, callers)
	}
	return copies * int64(min(values, MaxResponse))
}

// decisionsOn is what deciding on these names takes for one caller.
func decisionsOn(names []entry.Name) int64 {
	size := len(names) * decisionSize
	for _, name := range names {
		size += len(name.ID)
	}
	return int64(size)
}

// mostMatches bounds the names of a call times the patterns that each is compared with, which take
// core's CPU while others wait: half a second of it.
const mostMatches = 1 << 22

// afford fails where deciding on so many names for callers would take too long. Those of one subject are
// decided for once.
func (d *decisions) afford(callers []identity, names int) error {
	matches := 0
	seen := map[rule.Subject]bool{}
	for _, known := range callers {
		if subject := known.who.RuleSubject(); known.refused == "" && !seen[subject] {
			seen[subject] = true
			matches += d.view(known.who).Wild() * names
		}
	}
	if matches > mostMatches {
		return status.Error(codes.ResourceExhausted, "core would compare too many names with too many patterns: ask for less at once, or have the rules name ids in the place of patterns")
	}
	return nil
}
