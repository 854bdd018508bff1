package airflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// tear changes a file again and again while a process of Airflow looks an entry of it up.
// Every field of the entry has the same mark, and marks go up.
func (b *bench) tear(ctx context.Context) error {
	if b.court.lookups == 0 {
		return nil
	}
	mark := func(i int) string { return fmt.Sprintf("n33dle-%06d", i) }
	if err := b.writeMarked(mark(0)); err != nil {
		return err
	}
	dir, err := b.node.publish(ctx, "torn", map[string]string{"connections": "marked"})
	if err != nil {
		return err
	}
	if err := b.nameAnotherBackend(); err != nil {
		return err
	}
	if err := b.plain("while files change", b.node.exec(dir, "--airflow-backend")); err != nil {
		return err
	}
	s := b.stations[len(b.stations)-1]
	if err := s.isReady(ctx); err != nil {
		return err
	}
	if said, err := os.ReadFile(b.started[len(b.started)-1].log); err != nil || !bytes.Contains(said, []byte("airflow.cfg sets [secrets] backend, and --airflow-backend goes before it")) {
		b.court.report.fail("Airflow %s: the agent did not warn of airflow.cfg, which names another backend", b.court.version.number)
	}
	last := mark(b.court.changes)
	if err := s.send(request{Torn: &torn{ID: "marked", Lookups: b.court.lookups, Last: last}}); err != nil {
		return err
	}
	started := time.Now()
	for i := range b.court.changes {
		if err := b.writeMarked(mark(i + 1)); err != nil {
			return err
		}
		if err := awaitText(ctx, filepath.Join(dir, "connections", "marked"), mark(i+1)); err != nil {
			return err
		}
	}
	took := time.Since(started)
	a, err := s.receive(ctx, 20*time.Minute)
	if err != nil {
		return err
	}
	return b.judgeTorn(a, took)
}

// nameAnotherBackend has airflow.cfg name one that cannot be had, as an image might. It is not
// in force for what is started from now on with --airflow-backend.
func (b *bench) nameAnotherBackend() error {
	return os.WriteFile(filepath.Join(b.home.dir, "airflow.cfg"), []byte("[secrets]\nbackend = elsewhere.Backend\n"), 0o600)
}

func (b *bench) judgeTorn(a answer, took time.Duration) error {
	var result struct {
		Lookups, Values, Backwards int
		Errors                     []string
	}
	if err := json.Unmarshal(a.Ways["torn"], &result); err != nil {
		return err
	}
	number := b.court.version.number
	b.court.report.remark("Airflow %s: %d look-ups while a file changed %d times in %.0f s: %d errors, %d values seen, %d times an older one",
		number, result.Lookups, b.court.changes, took.Seconds(), len(result.Errors), result.Values, result.Backwards)
	if len(result.Errors) > 0 || result.Backwards > 0 || result.Values < 2 {
		b.court.report.fail("Airflow %s: torn reads: %v", number, result.Errors)
	}
	return nil
}

func (b *bench) writeMarked(mark string) error {
	entry := map[string]any{"marked": map[string]any{
		"conn_type": "http", "host": "h", "login": mark, "password": mark, "schema": mark, "extra": map[string]string{"mark": mark},
	}}
	text, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	return b.node.WriteConnections(string(text))
}

// awaitText polls until a file holds a text.
func awaitText(ctx context.Context, path, text string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(text)) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to change: %w", path, ctx.Err())
		}
	}
}
