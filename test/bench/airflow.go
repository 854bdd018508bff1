package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/leoflow/secrets-csi/pkg/airflow"
)

// airflow measures parsing a connection and printing it again, on one core. The peer is
// what the standard library takes to parse the same text as a URL, which is not how
// Airflow reads it.
func (b *bench) airflow(context.Context) error {
	const uri = "postgres://etl:p%40ssword@warehouse.internal:5432/reports?__extra__=%7B%22sslmode%22%3A%22require%22%2C%22connect_timeout%22%3A10%7D"
	const rounds = 200_000
	start := time.Now()
	for range rounds {
		connection, err := airflow.ParseURI("warehouse", uri)
		if err != nil {
			return err
		}
		if _, err := connection.URI(); err != nil {
			return err
		}
	}
	ours := time.Since(start)
	start = time.Now()
	for range rounds {
		parsed, err := url.Parse(uri)
		if err != nil {
			return err
		}
		_, _ = parsed.Query(), parsed.String()
	}
	theirs := time.Since(start)
	rate := rounds / ours.Seconds()
	b.line("parse and emit a connection, per second and core", fmt.Sprintf("%.0f", rate), fmt.Sprintf("%.0f net/url", rounds/theirs.Seconds()), times(ours, theirs), "≥ 200000", rate >= 200_000, rate)
	return nil
}
