package coreserver

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// agentService is the existing contract: all that the bearer of a token may read. It
// has no way to tell of an entry that cannot be served; only the audit log does.
type agentService struct {
	agentv1.UnimplementedAgentServiceServer
	*Server
}

func (s *agentService) GetVariables(ctx context.Context, _ *agentv1.GetVariablesRequest) (*agentv1.GetVariablesResponse, error) {
	values, err := s.everything(ctx, entry.Variable)
	if err != nil {
		return nil, err
	}
	return &agentv1.GetVariablesResponse{Variables: values}, nil
}

func (s *agentService) GetConnections(ctx context.Context, _ *agentv1.GetConnectionsRequest) (*agentv1.GetConnectionsResponse, error) {
	values, err := s.everything(ctx, entry.Connection)
	if err != nil {
		return nil, err
	}
	return &agentv1.GetConnectionsResponse{ConnectionUris: values}, nil
}

func (s *agentService) everything(ctx context.Context, kind entry.Kind) (map[string]string, error) {
	deciding := s.decide(ctx)
	deciding.print = s.uri
	known, err := s.identify(ctx, bearer(ctx))
	if err != nil {
		return nil, err
	}
	if known.refused == "" {
		known.refused = s.unbound(s.driverByCertificate(ctx), known.who)
	}
	if known.refused != "" {
		if err := deciding.commit(ctx, one(deciding.stranger(known)), false); err != nil {
			return nil, err
		}
		return nil, status.Error(codes.Unauthenticated, known.refused)
	}
	if err := deciding.afford([]identity{known}, deciding.snapshot.Len()); err != nil {
		return nil, err
	}
	names, err := deciding.readable(known.who, kind)
	if err != nil {
		return nil, err
	}
	if wait := s.budget.Wait(known.who); wait > 0 && len(names) > 0 {
		return nil, deciding.throttle(ctx, known.who, wait)
	}
	if err := s.admit(ctx, deciding.weightOf(names, 1)); err != nil {
		return nil, err
	}
	values, size := make(map[string]string, len(names)), 0
	for _, name := range names {
		if ruling := deciding.on(known.who, name); ruling.decision == audit.Allowed {
			values[name.ID] = ruling.value.Text.Reveal()
			size += sizeOf(name, ruling)
			callOf(ctx).size += len(name.ID) + ruling.value.Text.Len()
		}
	}
	if size := callOf(ctx).size; size > MaxResponse {
		return nil, status.Errorf(codes.ResourceExhausted, "core's answer is larger than max (%d vs. %d bytes): let the caller read less", size, MaxResponse)
	}
	records := func(yield func(audit.Record) bool) {
		for _, name := range names {
			if !yield(deciding.record(known.who, name, deciding.on(known.who, name))) {
				return
			}
		}
	}
	if err := deciding.commit(ctx, records, len(values) > 0); err != nil {
		return nil, err
	}
	if len(values) > 0 {
		deciding.owe(known.who, len(values), size)
	}
	return values, nil
}

// throttle ends a call whose caller is given nothing for so long, once that is written down. The detail
// tells the client that nobody else's calls are meant.
func (d *decisions) throttle(ctx context.Context, who auth.Caller, wait time.Duration) error {
	why := d.server.throttled(wait)
	if err := d.commit(ctx, one(d.withheld(who, why)), false); err != nil {
		return err
	}
	said := status.New(codes.ResourceExhausted, why)
	if detailed, err := said.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}); err == nil {
		said = detailed
	}
	return said.Err()
}

func one(record audit.Record) iter.Seq[audit.Record] { return slices.Values([]audit.Record{record}) }

// uri is what the contract carries of a connection.
func (s *agentService) uri(connection airflow.Connection) (secret.Text, error) {
	if s.config.LegacyURIs {
		return legacyURI(connection), nil
	}
	uri, err := connection.URI()
	return secret.New(uri), err
}

// bearer is the token of the call's metadata; empty where there is none.
func bearer(ctx context.Context) secret.Text {
	const scheme = "bearer "
	for _, header := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		if len(header) > len(scheme) && strings.EqualFold(header[:len(scheme)], scheme) {
			return secret.New(strings.TrimSpace(header[len(scheme):]))
		}
	}
	return secret.Text{}
}
