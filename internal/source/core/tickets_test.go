package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// ticketing is a server that gives a ticket for each token, and whose streams say what the test
// sends them.
type ticketing struct {
	server
	asked chan string // tickets/added@revision of each stream
	says  chan *secretsv1.WatchResponse
}

func newTicketing() *ticketing {
	s := &ticketing{asked: make(chan string, 64), says: make(chan *secretsv1.WatchResponse)}
	s.fetch = func(_ context.Context, request *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
		response := &secretsv1.FetchResponse{Results: []*secretsv1.CallerResult{{}}}
		for _, caller := range request.GetCallers() {
			about, proof, _ := strings.Cut(caller.GetToken(), ".")
			response.Tickets = append(response.Tickets, &secretsv1.Ticket{About: []byte(about), Proof: []byte(proof), Revision: "f"})
		}
		return response, nil
	}
	s.watch = func(request *secretsv1.WatchRequest, stream watchStream) error {
		if !request.GetScoped() {
			return errors.New("the driver wants all names")
		}
		s.asked <- fmt.Sprintf("%s/%s@%s", spellTickets(request.GetTickets()), spellTickets(request.GetAdded()), request.GetRevision())
		for {
			select {
			case message := <-s.says:
				if err := stream.Send(message); err != nil {
					return err
				}
			case <-stream.Context().Done():
				return stream.Context().Err()
			}
		}
	}
	return s
}

func spellTickets(tickets []*secretsv1.Ticket) string {
	var spelled []string
	for _, ticket := range tickets {
		spelled = append(spelled, string(ticket.GetAbout())+"."+string(ticket.GetProof()))
	}
	slices.Sort(spelled)
	return strings.Join(spelled, " ")
}

func (s *ticketing) say(t *testing.T, message *secretsv1.WatchResponse) {
	t.Helper()
	select {
	case s.says <- message:
	case <-t.Context().Done():
	}
}

func fetchAs(t *testing.T, client *core.Client, token string) {
	t.Helper()
	_, err := client.Fetch(t.Context(), provider.Identity{Token: secret.New(token)}, provider.Request{})
	require.NoError(t, err)
}

// since is a message of a scoped stream.
func since(before string, message *secretsv1.WatchResponse) *secretsv1.WatchResponse {
	message.Since = proto.String(before)
	return message
}

func TestAWatchShowsWhatFetchesBrought(t *testing.T) {
	s := newTicketing()
	client := newClient(t, s.start(t))
	changes, _ := watching(t, client)
	assert.Equal(t, "/@", testwait.Receive(t, s.asked))
	s.say(t, since("", resync("1")))
	assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))

	fetchAs(t, client, "a.1")
	assert.Equal(t, "/a.1@1", testwait.Receive(t, s.asked))
	first := since("1", change("2", variable("x", "2")))
	first.Shown = []*secretsv1.EntryVersion{variable("x", "2"), variable("y", "1")}
	s.say(t, first)
	assert.Equal(t, entries("x"), testwait.Receive(t, changes))
	s.say(t, since("2", change("3"))) // what does not concern it
	fetchAs(t, client, "a.2")
	fetchAs(t, client, "b.1")
	assert.Equal(t, "a.2/b.1@3", testwait.Receive(t, s.asked), "with the newest proof of each")
	s.say(t, since("3", change("3")))
	s.say(t, since("3", resync("9", variable("x", "2"), variable("y", "9"))))
	assert.Equal(t, entries("y"), testwait.Receive(t, changes), "x is as it was shown")
	assert.Empty(t, changes)
}

// A message that leads from elsewhere is a gap, and the tickets are had anew.
func TestAScopedWatchWithAGap(t *testing.T) {
	s := newTicketing()
	client := newClient(t, s.start(t))
	fetchAs(t, client, "a.1")
	changes, _ := watching(t, client)
	assert.Equal(t, "/a.1@", testwait.Receive(t, s.asked))
	s.say(t, since("", resync("1", variable("x", "1"))))
	assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))
	s.say(t, since("", change("1")))
	assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes), "though it is the same state")
	fetchAs(t, client, "b.1")
	assert.Equal(t, "/b.1@1", testwait.Receive(t, s.asked))
}

// More tickets than a watch takes are begun anew, and so is what is known.
func TestMoreTicketsThanAWatchTakes(t *testing.T) {
	s := newTicketing()
	client := newClient(t, s.start(t))
	changes, _ := watching(t, client)
	assert.Equal(t, "/@", testwait.Receive(t, s.asked))
	for i := range 1025 {
		fetchAs(t, client, fmt.Sprintf("%d.1", i))
	}
	s.say(t, since("", resync("1")))
	assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))
	assert.Equal(t, "/1024.1@", testwait.Receive(t, s.asked))
	s.say(t, since("", resync("1")))
	assert.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes))
}
