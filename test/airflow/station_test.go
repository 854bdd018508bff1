package airflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// station is a place in Airflow from which entries are looked up: python/station.py runs
// there and answers requests.
type station struct {
	name, dir string
	// alive tells why the process behind it has ended, or nil.
	alive  func() error
	number int
}

// request is what a station is asked.
type request struct {
	Number      int      `json:"number"`
	Connections []string `json:"connections"`
	Variables   []string `json:"variables"`
	// Brief is what to look up by every way but the first, if not all.
	Brief *request `json:"brief,omitempty"`
	Hooks []string `json:"hooks,omitempty"`
	// Rows are connections, of which a hook is asked what credential it uses.
	Rows []json.RawMessage `json:"rows,omitempty"`
	Torn *torn             `json:"torn,omitempty"`
	// Refusals are looked up so that what ends a search ends no station.
	Refusals *request `json:"refusals,omitempty"`
	Stop     bool     `json:"stop,omitempty"`
}

// torn has a station look one entry up, in several threads, until there were so many look-ups
// and the entry has reached its last value.
type torn struct {
	ID      string `json:"id"`
	Lookups int    `json:"lookups"`
	Last    string `json:"last"`
}

// found is an entry: its fields by name, each as JSON, or "missing" and why.
type found map[string]string

func (f found) isMissing() bool { _, missing := f["missing"]; return missing }

// look is what one way of looking up found.
type look struct {
	Connections map[string]found `json:"connections"`
	Variables   map[string]found `json:"variables"`
}

type answer struct {
	Number int `json:"number"`
	// At is when the look-ups began, and Until when they had ended, in seconds since 1970.
	At    float64                    `json:"at"`
	Until float64                    `json:"until"`
	Ways  map[string]json.RawMessage `json:"ways"`
}

func (a answer) looks() (map[string]look, error) {
	looks := map[string]look{}
	for way, text := range a.Ways {
		var one look
		if err := json.Unmarshal(text, &one); err != nil {
			return nil, err
		}
		looks[way] = one
	}
	return looks, nil
}

func (s *station) path(suffix string) string { return filepath.Join(s.dir, s.name+suffix) }

const poll = 10 * time.Millisecond

// slowest is for one that forgot to answer. What takes seconds takes minutes on a busy machine,
// where several programs of Airflow start one after the other.
const slowest = 10 * time.Minute

// await polls for a file until a time is over or the process behind the station ends.
func (s *station) await(ctx context.Context, suffix string, within time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(s.path(suffix))
		if !errors.Is(err, fs.ErrNotExist) {
			return text, err
		}
		select {
		case <-tick.C:
			if err := s.alive(); err != nil {
				return nil, fmt.Errorf("station %s: %w", s.name, err)
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("station %s gave no %s: %w", s.name, suffix, ctx.Err())
		}
	}
}

func (s *station) isReady(ctx context.Context) error {
	_, err := s.await(ctx, ".ready", slowest)
	return err
}

func (s *station) send(r request) error {
	s.number++
	r.Number = s.number
	if r.Connections == nil {
		r.Connections = []string{}
	}
	if r.Variables == nil {
		r.Variables = []string{}
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path(".next"), text, 0o600); err != nil {
		return err
	}
	return os.Rename(s.path(".next"), s.path(".request"))
}

func (s *station) receive(ctx context.Context, within time.Duration) (answer, error) {
	var a answer
	text, err := s.await(ctx, ".answer", within)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, err
	}
	if a.Number != s.number {
		return a, fmt.Errorf("station %s answered request %d and was asked %d", s.name, a.Number, s.number)
	}
	return a, os.Remove(s.path(".answer"))
}

func (s *station) ask(ctx context.Context, r request) (answer, error) {
	if err := s.send(r); err != nil {
		return answer{}, err
	}
	return s.receive(ctx, slowest)
}
