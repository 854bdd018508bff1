package coreserver

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Bounds of one Fetch.
const (
	maxCallers = 1 << 10
	maxNames   = 1 << 12
)

type secretsService struct {
	secretsv1.UnimplementedSecretsServiceServer
	*Server
}

// Fetch decides for each caller on its own and answers with the union of what they
// may have, each result pointing into it.
func (s *secretsService) Fetch(ctx context.Context, request *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
	if err := checkFetch(request); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "%v", err)
	}
	answer := fetching{
		decisions: s.decide(ctx),
		request:   request,
		response:  &secretsv1.FetchResponse{},
		positions: map[entry.Name]uint32{},
	}
	callers, err := s.identifyAll(ctx, request.Callers)
	if err != nil {
		return nil, err
	}
	for _, known := range callers {
		answer.response.Results = append(answer.response.Results, answer.forCaller(known))
	}
	if most := request.GetMaxBytes(); most > 0 {
		if size := proto.Size(answer.response); uint64(size) > most {
			return nil, status.Errorf(codes.ResourceExhausted, "core's answer is larger than max_bytes (%d vs. %d bytes): ask for less at once", size, most)
		}
	}
	if err := answer.commit(); err != nil {
		return nil, err
	}
	return answer.response, nil
}

// fetching is one Fetch under way.
type fetching struct {
	*decisions
	request   *secretsv1.FetchRequest
	response  *secretsv1.FetchResponse
	positions map[entry.Name]uint32
}

func (f *fetching) forCaller(known identity) *secretsv1.CallerResult {
	f.recognise(known)
	result := &secretsv1.CallerResult{Unauthenticated: known.refused}
	if known.refused == "" {
		f.selected(result, known.who, entry.Connection, f.request.GetConnections())
		f.selected(result, known.who, entry.Variable, f.request.GetVariables())
	}
	return result
}

func (f *fetching) selected(result *secretsv1.CallerResult, who auth.Caller, kind entry.Kind, selection *secretsv1.Selection) {
	for _, name := range f.names(who, kind, selection) {
		ruling := f.on(who, name)
		switch {
		case ruling.decision != audit.Allowed:
			result.Refusals = append(result.Refusals, refusal(name, ruling))
		case kind == entry.Connection:
			result.Connections = append(result.Connections, f.position(name, ruling))
		default:
			result.Variables = append(result.Variables, f.position(name, ruling))
		}
	}
}

func (f *fetching) names(who auth.Caller, kind entry.Kind, selection *secretsv1.Selection) []entry.Name {
	if selection.GetAll() {
		return f.readable(who, kind)
	}
	names := make([]entry.Name, 0, len(selection.GetNames()))
	for _, id := range selection.GetNames() {
		names = append(names, entry.Name{Kind: kind, ID: id})
	}
	return names
}

// position is where name stands in the response, after putting it there if need be.
func (f *fetching) position(name entry.Name, ruling verdict) uint32 {
	if known, found := f.positions[name]; found {
		return known
	}
	var position int
	if name.Kind == entry.Connection {
		position = len(f.response.Connections)
		f.response.Connections = append(f.response.Connections, connectionMessage(name.ID, ruling.version, ruling.value.Connection))
	} else {
		position = len(f.response.Variables)
		f.response.Variables = append(f.response.Variables,
			&secretsv1.Variable{Key: name.ID, Version: ruling.version, Value: ruling.value.Text.Reveal()})
	}
	f.positions[name] = uint32(position)
	return uint32(position)
}

func connectionMessage(id, version string, connection airflow.Connection) *secretsv1.Connection {
	message := &secretsv1.Connection{
		Id: id, Version: version, ConnType: connection.Type,
		Description: connection.Description, Host: connection.Host,
		Login: connection.Login, Schema: connection.Schema,
		Password: revealed(connection.Password), Extra: revealed(connection.Extra),
	}
	if connection.Port != nil {
		port := uint32(*connection.Port)
		message.Port = &port
	}
	return message
}

func revealed(field *secret.Text) *string {
	if field == nil {
		return nil
	}
	value := field.Reveal()
	return &value
}

func refusal(name entry.Name, ruling verdict) *secretsv1.Refusal {
	reasons := map[audit.Decision]secretsv1.Refusal_Reason{
		audit.Missing: secretsv1.Refusal_REASON_MISSING,
		audit.Denied:  secretsv1.Refusal_REASON_DENIED,
		audit.Invalid: secretsv1.Refusal_REASON_INVALID,
	}
	return &secretsv1.Refusal{
		Kind: kindMessage(name.Kind), Name: name.ID, Reason: reasons[ruling.decision], Detail: ruling.detail,
	}
}

func kindMessage(kind entry.Kind) secretsv1.Kind {
	if kind == entry.Connection {
		return secretsv1.Kind_KIND_CONNECTION
	}
	return secretsv1.Kind_KIND_VARIABLE
}
