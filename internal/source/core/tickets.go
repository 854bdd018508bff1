package core

import (
	"sync"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
)

// mostTickets is what core takes with one Watch.
const mostTickets = 1024

// tickets are what this node shows core to be told of: one for each pod identity that it has
// fetched for. What was fetched is told of from the revision on that the first ticket has.
type tickets struct {
	mu   sync.Mutex
	held map[string]*held
	lost bool          // some were, so that nobody knows what the others leave out
	more chan struct{} // has an element once there are some that no stream has shown yet
}

type held struct {
	ticket *secretsv1.Ticket
	told   bool // a message of Watch has told what it shows
}

func newTickets() tickets {
	return tickets{held: map[string]*held{}, more: make(chan struct{}, 1)}
}

// take keeps what an answer brought. Where there are too many, they are had anew, one after the
// other, by those who still ask.
func (t *tickets) take(given []*secretsv1.Ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ticket := range given {
		about := string(ticket.GetAbout())
		if known := t.held[about]; known != nil {
			known.ticket = &secretsv1.Ticket{About: ticket.GetAbout(), Proof: ticket.GetProof(), Revision: known.ticket.GetRevision()}
			continue
		}
		if len(t.held) == mostTickets {
			t.held, t.lost = map[string]*held{}, true
		}
		t.held[about] = &held{ticket: ticket}
		select {
		case t.more <- struct{}{}:
		default:
		}
	}
}

// show is what the next stream asks with, and clears the sign that there is more. lost says that
// some went since the last time.
func (t *tickets) show() (told, added []*secretsv1.Ticket, lost bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.more:
	default:
	}
	for _, each := range t.held {
		if each.told {
			told = append(told, each.ticket)
		} else {
			added = append(added, each.ticket)
		}
	}
	lost, t.lost = t.lost, false
	return told, added, lost
}

// taken notes that core has told of what these show.
func (t *tickets) taken(added []*secretsv1.Ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ticket := range added {
		if known := t.held[string(ticket.GetAbout())]; known != nil {
			known.told = true
		}
	}
}

// drop forgets those of a stream, which may show nothing any more.
func (t *tickets) drop(shown []*secretsv1.Ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ticket := range shown {
		if known := t.held[string(ticket.GetAbout())]; known != nil && string(known.ticket.GetProof()) == string(ticket.GetProof()) {
			delete(t.held, string(ticket.GetAbout()))
		}
	}
}
