package coreserver

import (
	"context"
	"iter"
	"runtime"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

type secretsService struct {
	secretsv1.UnimplementedSecretsServiceServer
	*Server
}

// Fetch decides for each caller on its own and answers with the union of what they
// may have, each result pointing into it. What it takes is known before anybody is asked
// about a token, and what it gives before anything is written down.
func (s *secretsService) Fetch(ctx context.Context, request *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
	answer := fetching{
		decisions: s.decide(ctx),
		request:   request,
		response:  &secretsv1.FetchResponse{},
		positions: map[ofTeam]uint32{},
		rules:     map[string]uint32{},
		results:   map[sharing]*secretsv1.CallerResult{},
	}
	from, refused, err := s.driver(ctx)
	switch {
	case err != nil:
		return nil, err
	case refused != "":
		return nil, answer.refuse(ctx, refused)
	case from.ruleless && len(request.Callers) != 1:
		return nil, answer.refuse(ctx, notADriver)
	}
	answer.common.DriverNode = from.node
	if err := checkFetch(request); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "%v", err)
	}
	weight := answer.weigh()
	if err := s.admit(ctx, weight); err != nil {
		return nil, err
	}
	callers, err := s.identifyAll(ctx, from, request.Callers)
	if err != nil {
		return nil, err
	}
	if from.ruleless && !callers[0].who.Direct {
		return nil, answer.refuse(ctx, notADriver)
	}
	if err := answer.afford(callers, answer.count()); err != nil {
		return nil, err
	}
	for _, known := range callers {
		if ctx.Err() != nil {
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		result, err := answer.forCaller(known)
		if err != nil {
			return nil, err
		}
		answer.response.Results = append(answer.response.Results, result)
	}
	if answer.response.Tickets, err = answer.tickets(from); err != nil {
		return nil, err
	}
	if err := answer.measure(ctx, weight); err != nil {
		return nil, err
	}
	handsOut := len(answer.response.Connections)+len(answer.response.Variables) > 0
	if err := answer.commit(ctx, answer.records(callers), handsOut); err != nil {
		return nil, err
	}
	answer.spend(callers)
	return answer.response, nil
}

// fetching is one Fetch under way.
type fetching struct {
	*decisions
	request   *secretsv1.FetchRequest
	response  *secretsv1.FetchResponse
	positions map[ofTeam]uint32
	rules     map[string]uint32
	results   map[sharing]*secretsv1.CallerResult
	// Whose the response's connections and variables are, in their order.
	connectionTeams, variableTeams []string
}

// sharing is what callers have alike who share a result: rules know nothing of them but the subject.
type sharing struct {
	subject  rule.Subject
	withheld bool
}

// measure sets the size of the call's answer where that may be large, and fails where it is larger than it
// may be.
func (f *fetching) measure(ctx context.Context, weight int64) error {
	most := MaxResponse
	if asked := f.request.GetMaxBytes(); asked > 0 {
		most = int(min(asked, MaxResponse))
	}
	if weight > min(small, int64(most)) { // which is above what the answer can be
		callOf(ctx).size = proto.Size(f.response)
	}
	if size := callOf(ctx).size; size > most {
		return status.Errorf(codes.ResourceExhausted, "core's answer is larger than max (%d vs. %d bytes): ask for less at once", size, most)
	}
	return nil
}

// weigh is about what the call takes at most.
func (f *fetching) weigh() int64 {
	weight, callers := int64(proto.Size(f.request)), len(f.request.GetCallers())
	for kind, selection := range f.selections() {
		if selection.GetAll() {
			weight += copies * int64(min(f.snapshot.MostSize(kind, callers), MaxResponse)) // of which nobody is refused any
			continue
		}
		names := namesOf(kind, selection)
		weight += f.weightOf(names, callers) + int64(callers)*decisionsOn(names)
	}
	return weight
}

// tickets are for whom the callers speak, one each, if their node could watch.
func (f *fetching) tickets(from driver) (given []*secretsv1.Ticket, err error) {
	if !from.known && from.direct == nil {
		return nil, nil
	}
	for subject := range f.views {
		ticket, err := f.server.tickets.give(subject, from.holder(), f.snapshot.Revision, f.common.Time)
		if err != nil {
			return nil, err
		}
		given = append(given, ticket)
	}
	return given, nil
}

// selections yields what is asked for of each kind.
func (f *fetching) selections() iter.Seq2[entry.Kind, *secretsv1.Selection] {
	return func(yield func(entry.Kind, *secretsv1.Selection) bool) {
		_ = yield(entry.Connection, f.request.GetConnections()) && yield(entry.Variable, f.request.GetVariables())
	}
}

func (f *fetching) forCaller(known identity) (*secretsv1.CallerResult, error) {
	if known.refused != "" {
		return &secretsv1.CallerResult{Unauthenticated: known.refused}, nil
	}
	wait := f.server.budget.Wait(known.who)
	result, err := f.shared(known.who, wait > 0)
	if err != nil || result.Withheld == "" {
		return result, err
	}
	return &secretsv1.CallerResult{Refusals: result.Refusals, Withheld: f.server.throttled(wait)}, nil
}

// shared is the result of all callers of one subject. Where theirs is withheld it has what is refused,
// and tells whether there is anything else.
func (f *fetching) shared(who auth.Caller, withheld bool) (*secretsv1.CallerResult, error) {
	among := sharing{who.RuleSubject(), withheld}
	if result := f.results[among]; result != nil {
		return result, nil
	}
	result := &secretsv1.CallerResult{}
	for kind, selection := range f.selections() {
		if err := f.selected(result, who, kind, selection, withheld); err != nil {
			return nil, err
		}
	}
	f.results[among] = result
	runtime.Gosched() // so that small calls wait for one subject of a large one, and not for all
	return result, nil
}

// count is how many names are decided on for each caller.
func (f *fetching) count() (names int) {
	for _, selection := range f.selections() {
		if names += len(selection.GetNames()); selection.GetAll() {
			names += f.snapshot.Len()
		}
	}
	return names
}

func (f *fetching) selected(result *secretsv1.CallerResult, who auth.Caller, kind entry.Kind, selection *secretsv1.Selection, withheld bool) error {
	names, err := f.names(who, kind, selection)
	if err != nil {
		return err
	}
	for _, name := range names {
		ruling := f.on(who, name)
		switch {
		case ruling.decision != audit.Allowed:
			result.Refusals = append(result.Refusals, refusal(name, ruling))
		case withheld:
			result.Withheld = "something is"
		case kind == entry.Connection:
			result.Connections = append(result.Connections, f.position(name, ruling))
			result.ConnectionRules = append(result.ConnectionRules, f.rulePosition(ruling.rule))
		default:
			result.Variables = append(result.Variables, f.position(name, ruling))
			result.VariableRules = append(result.VariableRules, f.rulePosition(ruling.rule))
		}
	}
	return nil
}

func (f *fetching) names(who auth.Caller, kind entry.Kind, selection *secretsv1.Selection) ([]entry.Name, error) {
	if selection.GetAll() {
		return f.readable(who, kind)
	}
	return namesOf(kind, selection), nil
}

func namesOf(kind entry.Kind, selection *secretsv1.Selection) []entry.Name {
	names := make([]entry.Name, 0, len(selection.GetNames()))
	for _, id := range selection.GetNames() {
		names = append(names, entry.Name{Kind: kind, ID: id})
	}
	return names
}

// position is where name stands in the response, after putting it there if need be.
func (f *fetching) position(name entry.Name, ruling verdict) uint32 {
	at := ofTeam{ruling.team, name}
	if known, found := f.positions[at]; found {
		return known
	}
	var position int
	if name.Kind == entry.Connection {
		position = len(f.response.Connections)
		f.connectionTeams = append(f.connectionTeams, ruling.team)
		f.response.Connections = append(f.response.Connections, connectionMessage(name.ID, ruling.version, ruling.value.Connection))
	} else {
		position = len(f.response.Variables)
		f.variableTeams = append(f.variableTeams, ruling.team)
		f.response.Variables = append(f.response.Variables,
			&secretsv1.Variable{Key: name.ID, Version: ruling.version, Value: ruling.value.Text.Reveal()})
	}
	f.positions[at] = uint32(position)
	return uint32(position)
}

func (f *fetching) rulePosition(name string) uint32 {
	position, known := f.rules[name]
	if !known {
		position = uint32(len(f.response.Rules))
		f.rules[name] = position
		f.response.Rules = append(f.response.Rules, name)
	}
	return position
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
