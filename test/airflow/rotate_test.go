package airflow

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	firstValue, secondValue = "n33dle-first", "n33dle-second"
	// promised is how soon nothing of a revoked entry is left in a running process.
	promised = 2 * time.Second
	patience = 20 * time.Second
)

// replace rewrites one of core's files in one rename.
func replace(path string, pairs ...string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	next := path + ".next"
	if err := os.WriteFile(next, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// rotate changes one connection and one variable in core, takes one of each away, and
// asks every station until it knows.
func (b *bench) rotate(ctx context.Context) error {
	for _, path := range []string{b.node.Connections, b.node.Variables} {
		if err := replace(path, firstValue, secondValue, `"revoked"`, `"taken_away"`, `"revoked_var"`, `"taken_away_var"`); err != nil {
			return err
		}
	}
	changed := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	all := make([]learned, len(b.stations))
	for i, s := range b.stations {
		group.Go(func() (err error) {
			all[i], err = s.learns(ctx, changed)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, s := range b.stations {
		b.judgeStale(s, all[i])
	}
	return nil
}

var changedEntries = request{Connections: []string{"rotated", "revoked"}, Variables: []string{"rotated_var", "revoked_var"}}

// learned is how long after the change a station was last told something old, by way and aspect,
// and when it had been told nothing old any more.
type learned struct {
	stale   map[string]time.Duration
	isStale bool
	fresh   time.Duration
}

// learns asks a station until it knows what changed. One whose environment was handed over at
// its start never does, and is asked once.
func (s *seat) learns(ctx context.Context, changed time.Time) (learned, error) {
	l := learned{stale: map[string]time.Duration{}}
	for {
		a, err := s.ask(ctx, changedEntries)
		if err != nil {
			return l, err
		}
		looks, err := a.looks()
		if err != nil {
			return l, err
		}
		asked := time.Unix(0, int64(a.At*1e9)).Sub(changed)
		l.fresh, l.isStale = time.Unix(0, int64(a.Until*1e9)).Sub(changed), false
		for way, look := range looks {
			for aspect, wrong := range staleAspects(way, look) {
				if wrong != "" {
					l.stale[way+"\t"+aspect], l.isStale = asked, true
				} else if _, seen := l.stale[way+"\t"+aspect]; !seen {
					l.stale[way+"\t"+aspect] = 0
				}
			}
		}
		if !s.live || !l.isStale || time.Since(changed) > patience {
			return l, nil
		}
	}
}

// staleAspects says what of an old value is left, for rotation and for revocation.
func staleAspects(way string, l look) map[string]string {
	wrong := map[string]string{"rotation": "", "revocation": ""}
	if l.Connections["rotated"]["password"] != quoted(secondValue) {
		wrong["rotation"] = "connection rotated"
	}
	if !l.Connections["revoked"].isMissing() {
		wrong["revocation"] = "connection revoked"
	}
	if way == "async" {
		return wrong
	}
	if l.Variables["rotated_var"]["value"] != quoted(secondValue) {
		wrong["rotation"] = "variable rotated_var"
	}
	if !l.Variables["revoked_var"].isMissing() {
		wrong["revocation"] = "variable revoked_var"
	}
	return wrong
}

func (b *bench) judgeStale(s *seat, l learned) {
	if s.live && !l.isStale {
		b.court.report.seen(b.court.version.number, s.way, l.fresh)
	}
	for key, last := range l.stale {
		way, aspect, _ := strings.Cut(key, "\t")
		c := b.cell(s, way, aspect)
		if !s.live {
			c.note("at restart")
			continue
		}
		b.court.report.count(c)
		if last > promised || l.isStale && last > 0 {
			c.differs("what changed", aspect, fmt.Sprintf("the old value, %.1f s after the change", last.Seconds()), "the new one within 2 s")
		}
	}
}

func quoted(text string) string {
	out, _ := json.Marshal(text)
	return string(out)
}
