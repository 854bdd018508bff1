package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	entriesPerVolume = 10
	podsPerNode      = 110 // kubelet's default
	rules            = "rules: [{tenants: ['*'], dags: ['*'], connections: ['*'], variables: ['*']}]\n"
)

// connections is an export file of ten ordinary connections. mark goes into each
// password.
func connections(mark string) string {
	all := map[string]any{}
	for i := range entriesPerVolume {
		all[fmt.Sprintf("conn_%d", i)] = map[string]any{
			"conn_type": "postgres", "host": fmt.Sprintf("db-%d.internal", i), "login": "etl", "password": "password-" + mark,
			"schema": "reports", "port": 5432, "extra": `{"sslmode": "require", "connect_timeout": 10}`,
		}
	}
	text, _ := json.Marshal(all)
	return string(text)
}

func ids() string {
	names := make([]string, entriesPerVolume)
	for i := range names {
		names[i] = fmt.Sprintf("conn_%d", i)
	}
	return strings.Join(names, ", ")
}

func (b *bench) start(ctx context.Context, coreArgs ...string) (*stack.Stack, error) {
	return stack.Start(ctx, stack.Options{Bin: b.bin, Connections: connections("first"), Variables: "{}", Rules: rules, CoreArgs: coreArgs})
}

// on starts a stack and n pods' volumes in it, and measures there.
func (b *bench) on(ctx context.Context, n int, measure func(*stack.Stack, []stack.Pod) error, coreArgs ...string) (err error) {
	s, err := b.start(ctx, coreArgs...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	all, err := pods(s, n)
	for i := 0; err == nil && i < len(all); i++ {
		err = s.Kubelet.Publish(ctx, all[i])
	}
	if err != nil {
		return err
	}
	return measure(s, all)
}

// pods are n pods of one task.
func pods(s *stack.Stack, n int) ([]stack.Pod, error) {
	tokens, err := s.Tokens(n, auth.Caller{Tenant: "acme", DAG: "bench"}, time.Hour)
	if err != nil {
		return nil, err
	}
	all := make([]stack.Pod, n)
	for i := range all {
		all[i] = stack.Pod{
			Name: fmt.Sprintf("pod-%d", i), UID: fmt.Sprintf("uid-%d", i), Namespace: "airflow", ServiceAccount: "etl",
			Token: tokens[i], Attributes: map[string]string{"connections": ids()},
		}
	}
	return all, nil
}
