package core_test

import (
	"context"
	"maps"
	"strconv"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// memory is a small core that holds the contract's world and speaks as servers should.
type memory struct {
	server
	world providertest.World

	state    sync.Mutex
	revision int
	changed  chan struct{} // closed and renewed with each change
	versions map[string]string
	frozen   chan struct{} // calls wait until it is closed; nil: they do not
}

func newMemory(world providertest.World) *memory {
	m := &memory{world: world, revision: 1, changed: make(chan struct{}), versions: map[string]string{}}
	for key := range world.Variables {
		m.versions[key] = "1"
	}
	return m
}

func (m *memory) speakOurs() {
	m.fetch, m.watch = m.answerFetch, m.answerWatch
}

func (m *memory) speakExisting() {
	m.connections = func(ctx context.Context) (map[string]string, error) {
		uris := map[string]string{m.world.Broken: "no scheme at all"}
		for _, connection := range m.world.Connections {
			uri, err := connection.URI()
			if err != nil {
				return nil, err
			}
			uris[connection.ID] = uri
		}
		return uris, m.authenticate(ctx)
	}
	m.variables = func(ctx context.Context) (map[string]string, error) {
		if err := m.authenticate(ctx); err != nil {
			return nil, err
		}
		m.state.Lock()
		defer m.state.Unlock()
		return maps.Clone(m.world.Variables), nil
	}
}

func (m *memory) authenticate(ctx context.Context) error {
	m.wait(ctx)
	sent := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(sent) != 1 || !m.knows(sent[0], "Bearer ") {
		return status.Errorf(codes.Unauthenticated, "who is %v", sent)
	}
	return nil
}

func (m *memory) knows(token, prefix string) bool {
	return token == prefix+m.world.Reader.Token.Reveal() || token == prefix+m.world.Twin.Token.Reveal()
}

// freeze makes calls hang until the test ends.
func (m *memory) freeze(t testing.TB) {
	m.state.Lock()
	defer m.state.Unlock()
	m.frozen = make(chan struct{})
	t.Cleanup(func() { close(m.frozen) })
}

func (m *memory) wait(ctx context.Context) {
	m.state.Lock()
	frozen := m.frozen
	m.state.Unlock()
	if frozen == nil {
		return
	}
	select {
	case <-frozen:
	case <-ctx.Done():
	}
}

func (m *memory) setVariable(key, value string) {
	m.state.Lock()
	defer m.state.Unlock()
	m.revision++
	m.world.Variables[key] = value
	m.versions[key] = strconv.Itoa(m.revision)
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) answerFetch(ctx context.Context, request *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
	m.wait(ctx)
	m.state.Lock()
	defer m.state.Unlock()
	response := &secretsv1.FetchResponse{}
	places := map[string]uint32{}
	for _, connection := range m.world.Connections {
		places["connection "+connection.ID] = uint32(len(response.Connections))
		response.Connections = append(response.Connections, messageOf(connection))
	}
	for key, value := range m.world.Variables {
		places["variable "+key] = uint32(len(response.Variables))
		response.Variables = append(response.Variables, &secretsv1.Variable{Key: key, Value: value, Version: m.versions[key]})
	}
	for _, caller := range request.Callers {
		result := &secretsv1.CallerResult{}
		response.Results = append(response.Results, result)
		if !m.knows(caller.Token, "") {
			result.Unauthenticated = "nobody knows " + caller.Token
			continue
		}
		result.Connections, result.Refusals = m.choose("connection ", request.Connections, places, result.Refusals)
		result.Variables, result.Refusals = m.choose("variable ", request.Variables, places, result.Refusals)
	}
	return response, nil
}

// choose points at what is asked for and refuses the rest.
func (m *memory) choose(prefix string, asked *secretsv1.Selection, places map[string]uint32, refusals []*secretsv1.Refusal) ([]uint32, []*secretsv1.Refusal) {
	kind, names := secretsv1.Kind_KIND_CONNECTION, asked.GetNames()
	if prefix == "variable " {
		kind = secretsv1.Kind_KIND_VARIABLE
	}
	if asked.GetAll() && kind == secretsv1.Kind_KIND_VARIABLE {
		names = []string{"env", "blank"}
	} else if asked.GetAll() {
		names = []string{"warehouse", "lake.eu-west", m.world.Broken}
	}
	var chosen []uint32
	for _, name := range names {
		refusal := &secretsv1.Refusal{Kind: kind, Name: name}
		place, exists := places[prefix+name]
		switch {
		case prefix == "variable " && name == m.world.Forbidden:
			refusal.Reason = secretsv1.Refusal_REASON_DENIED
		case prefix == "connection " && name == m.world.Broken:
			refusal.Reason = secretsv1.Refusal_REASON_INVALID
		case !exists:
			refusal.Reason = secretsv1.Refusal_REASON_MISSING
		default:
			chosen = append(chosen, place)
			continue
		}
		refusals = append(refusals, refusal)
	}
	return chosen, refusals
}

func (m *memory) answerWatch(_ *secretsv1.WatchRequest, stream grpc.ServerStreamingServer[secretsv1.WatchResponse]) error {
	for {
		m.state.Lock()
		message := &secretsv1.WatchResponse{Revision: strconv.Itoa(m.revision), Resync: true}
		for key, version := range m.versions {
			message.Entries = append(message.Entries, &secretsv1.EntryVersion{Kind: secretsv1.Kind_KIND_VARIABLE, Name: key, Version: version})
		}
		changed := m.changed
		m.state.Unlock()
		if err := stream.Send(message); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func messageOf(connection airflow.Connection) *secretsv1.Connection {
	message := &secretsv1.Connection{
		Id: connection.ID, Version: "1", ConnType: connection.Type, Description: connection.Description,
		Host: connection.Host, Login: connection.Login, Password: revealed(connection.Password),
		Schema: connection.Schema, Extra: revealed(connection.Extra),
	}
	if connection.Port != nil {
		message.Port = new(uint32(*connection.Port))
	}
	return message
}

func revealed(field *secret.Text) *string {
	if field == nil {
		return nil
	}
	return new(field.Reveal())
}
