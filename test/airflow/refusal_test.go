package airflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// refused are names that both a connection and a variable have. The last one is granted at first.
var refused = []string{"denied_here", "broken_here", "withdrawn_later"}

// elsewhere are names that the volume leaves to others: core does not have the first, and the pod
// did not ask for the second.
var elsewhere = []string{"absent_here", "unlisted"}

// refusalRules grant what is not refused, until withdrawn.
const (
	refusalRules = "rules: [{tenants: ['*'], dags: ['*'], connections: ['lake', 'rotated', 'many_*', 'broken_here', 'absent_here', 'withdrawn_later'], " +
		"variables: ['plain', 'object', 'absent_here', 'withdrawn_later']}]\n"
	granted, withdrawn = "'withdrawn_later'", "'nobody'"
)

// refusals judges what leoflow_runtime's backend refuses. The environment, the metastore and the API
// have an entry of every name, which nobody may be told in place of one that is refused.
func (c *court) refusals(ctx context.Context) (err error) {
	s, err := c.refusalSource()
	if err != nil {
		return err
	}
	n, err := c.serve(ctx, s, refusalRules)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	names := strings.Join(append(refused[:len(refused):len(refused)], elsewhere[0]), "?,")
	attributes := map[string]string{"connections": "lake,rotated," + names + "?", "variables": "plain,object," + strings.ReplaceAll(names, "broken_here?,", "") + "?"}
	dir, err := n.publish(ctx, "refusals", attributes)
	if err != nil {
		return err
	}
	if err := c.compareSpeed(ctx, n); err != nil {
		return err
	}
	b, err := c.open(n, "refusals")
	if err != nil {
		return err
	}
	defer b.close()
	all := append(refused[:len(refused):len(refused)], elsewhere...)
	if err := b.home.run(ctx, "python", append([]string{filepath.Join(c.scripts, "bait.py")}, all...), "_AIRFLOW_PROCESS_CONTEXT=server"); err != nil {
		return err
	}
	b.bait(all)
	if err := b.seatRefusals(ctx, dir); err != nil {
		return err
	}
	return b.askRefusals(ctx, dir)
}

// refusalSource are files with a broken connection, one that has a remark, and many.
func (c *court) refusalSource() (s source, err error) {
	connections := map[string]any{
		"rotated": "http://u:n33dle-first@h", "lake": map[string]any{"conn_type": "google_cloud_platform", "host": "h", "extra": map[string]any{
			"keyfile_dict": map[string]string{"private_key": "n33dle-of-a-key", "client_email": "e", "token_uri": "https://t"}}},
		"denied_here": "http://u:n33dle-denied@h", "withdrawn_later": "http://u:n33dle-withdrawn@h",
		"broken_here": map[string]any{"conn_type": "google_cloud_platform", "extra": map[string]any{"keyfile_dict": "n33dle-that-is-no-key"}},
	}
	for i := range manyConnections {
		connections[fmt.Sprintf("many_%d", i)] = fmt.Sprintf("postgresql://user:n33dle-%d@h.example.com:5432/db?__extra__=%%7B%%22a%%22%%3A%%22b%%22%%7D", i)
	}
	variables := map[string]any{"plain": "n33dle-of-a-variable", "object": map[string]string{"inner": "n33dle-inside-of-json"}, "denied_here": "n33dle-denied", "withdrawn_later": "n33dle-withdrawn"}
	s = source{name: "refusals", connections: filepath.Join(c.dir, "refusals-connections.json"), variables: filepath.Join(c.dir, "refusals-variables.json")}
	for path, content := range map[string]any{s.connections: connections, s.variables: variables} {
		text, err := json.Marshal(content)
		if err != nil {
			return s, err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return s, err
		}
	}
	return s, nil
}

// bait puts an entry of each name into the environment of whatever is started.
func (b *bench) bait(names []string) {
	for _, name := range names {
		b.home.more = append(b.home.more, "AIRFLOW_CONN_"+strings.ToUpper(name)+"=http://bait", "AIRFLOW_VAR_"+strings.ToUpper(name)+"=bait")
	}
}

func (b *bench) seatRefusals(ctx context.Context, dir string) error {
	agent := b.node.exec(dir, "--airflow-backend", "--python")
	if err := b.plain("refusals", agent); err != nil {
		return err
	}
	if err := b.task("task, refusals", agent); err != nil {
		return err
	}
	return b.services(ctx, "refusals", agent)
}

func (b *bench) askRefusals(ctx context.Context, dir string) error {
	first := refused[:len(refused)-1]
	if err := b.eachSeat(ctx, "refused", first, elsewhere); err != nil {
		return err
	}
	if err := replace(filepath.Join(b.node.Dir, "rules.yaml"), granted, withdrawn); err != nil {
		return err
	}
	if err := b.awaitWithdrawal(ctx, dir); err != nil {
		return err
	}
	if err := b.eachSeat(ctx, "withdrawn", refused, elsewhere); err != nil {
		return err
	}
	if err := b.judgeNotices(); err != nil {
		return err
	}
	// A volume that is there and cannot be read: nobody knows what it would refuse.
	if err := os.Remove(filepath.Join(dir, "..data")); err != nil {
		return err
	}
	return b.eachSeat(ctx, "unreadable", append(slices.Clone(refused), elsewhere...), nil)
}

func (b *bench) awaitWithdrawal(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		if _, err := os.Stat(filepath.Join(dir, "connections", "withdrawn_later")); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("awaiting that an entry is withdrawn: %w", ctx.Err())
		}
	}
}

// ending is how a look-up ended.
type ending struct {
	Found  *string  `json:"found"`
	Raised string   `json:"raised"`
	Bases  []string `json:"bases"`
	Says   string   `json:"says"`
}

type endings struct{ Connections, Variables, Defaults map[string]ending }

// endsSearches tells whether a refusal is to be final there. In services of 2.x it is a warning, and the
// search goes on. In triggerers of 3.0 and 3.1 Airflow's own look-ups fail where one thread asks the API
// while another does.
func (v version) endsSearches(way string) bool {
	service, _, _ := strings.Cut(way, ", ")
	switch service {
	case "triggerer":
		return v.series == "3.2" || v.series == "3.3"
	case "DAG processor":
		return !v.isTwo()
	}
	return true
}

// eachSeat asks all stations that are to end searches.
func (b *bench) eachSeat(ctx context.Context, aspect string, refused, goOn []string) error {
	asked := &request{Connections: append(append([]string{}, refused...), goOn...), Variables: append(append([]string{}, refused...), goOn...)}
	if aspect != "unreadable" {
		asked.Connections, asked.Variables = append(asked.Connections, "lake"), append(asked.Variables, "plain", "object")
	}
	for _, s := range b.stations {
		if !b.court.version.endsSearches(s.way) {
			continue
		}
		if err := s.isReady(ctx); err != nil {
			return err
		}
		a, err := s.ask(ctx, request{Refusals: asked})
		if err != nil {
			return err
		}
		for way, text := range a.Ways {
			var found endings
			if err := json.Unmarshal(text, &found); err != nil {
				return err
			}
			b.judgeEndings(b.cell(s, way, aspect), found, refused, goOn)
		}
	}
	return nil
}

func (b *bench) judgeEndings(c cell, found endings, refused, goOn []string) {
	for kind, ends := range map[string]map[string]ending{"connection ": found.Connections, "variable ": found.Variables, "variable with a default ": found.Defaults} {
		if len(ends) == 0 {
			continue
		}
		for _, name := range refused {
			isAsked := kind == "connection " || name != "broken_here" || c.aspect == "unreadable"
			if isAsked {
				c.report.count(c)
				if fault := ends[name].isNoRefusal(); fault != "" {
					c.differs(kind+name, "", fault, "a final refusal")
				}
			}
		}
		for _, name := range goOn {
			c.report.count(c)
			if end := ends[name]; end.Found == nil || *end.Found != "bait" {
				c.differs(kind+name, "", end.words(), "what another place has")
			}
		}
	}
}

// isNoRefusal says what is wrong with an ending that was to be final, or nothing.
func (e ending) isNoRefusal() string {
	isFinal := slices.Contains(e.Bases, "AirflowSecretsBackendAccessDenied") || len(e.Bases) > 0 && !slices.Contains(e.Bases, "Exception")
	switch {
	case !isFinal, slices.Contains(e.Bases, "AirflowNotFoundException"):
		return e.words()
	case !strings.Contains(e.Says, "in the volume ") && !strings.Contains(e.Says, "has no ..data"):
		return "raises without saying why: " + e.Says
	}
	return ""
}

func (e ending) words() string {
	if e.Found != nil {
		return "found " + *e.Found
	}
	return "raised " + e.Raised + ": " + e.Says
}

// judgeNotices counts, in the log of the task that the executor ran, what the manifest remarks on a
// connection that was looked up there again and again.
func (b *bench) judgeNotices() error {
	logs := map[string]int{}
	err := filepath.WalkDir(filepath.Join(b.home.dir, "logs"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".log" || !strings.Contains(path, "judge"+string(os.PathSeparator)) && !strings.Contains(path, "task_id=judge") {
			return err
		}
		text, err := os.ReadFile(path)
		logs[path] = strings.Count(string(text), "(key-stored-in-core)")
		return err
	})
	counts := slices.Sorted(maps.Values(logs))
	b.court.report.remark("Airflow %s: the notice of a stored key in the tasks' own logs: %v", b.court.version.number, counts)
	if len(counts) == 0 || counts[len(counts)-1] != 1 {
		b.court.report.fail("Airflow %s: the notice of a stored key stands %v times in the tasks' logs, want once", b.court.version.number, counts)
	}
	return err
}
