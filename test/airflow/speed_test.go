package airflow

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// The budgets of a look-up among a hundred connections: microseconds of the look-up itself, and how
// many times faster than Airflow's file backend it is with all that Airflow does besides.
const (
	lookupBudget = 20
	speedBudget  = 50
)

type speed struct{ End, Lookup float64 }

// compareSpeed times both backends in one run.
func (c *court) compareSpeed(ctx context.Context, n *node) error {
	ids := make([]string, manyConnections)
	for i := range ids {
		ids[i] = fmt.Sprintf("many_%d", i)
	}
	dir, err := n.publish(ctx, "many", map[string]string{"connections": strings.Join(ids, ",")})
	if err != nil {
		return err
	}
	ours, err := c.timeLookups(ctx, n.exec(dir, "--airflow-backend", "--python"))
	if err != nil {
		return err
	}
	theirs, err := c.timeLookups(ctx, n.exec(dir, "--airflow-backend"))
	if err != nil {
		return err
	}
	c.report.remark("Airflow %s: of %d connections a look-up takes %.1f µs, and through BaseHook %.0f µs, beside %.0f µs by LocalFilesystemBackend: %.0f times",
		c.version.number, manyConnections, ours.Lookup, ours.End, theirs.End, theirs.End/ours.End)
	if ours.Lookup > lookupBudget || theirs.End < speedBudget*ours.End {
		c.report.fail("Airflow %s: a look-up is to take at most %d µs and a %dth of LocalFilesystemBackend's", c.version.number, lookupBudget, speedBudget)
	}
	return nil
}

func (c *court) timeLookups(ctx context.Context, agent []string) (speed, error) {
	command := c.blank.command(ctx, agent[0], append(agent[1:], "--", c.blank.venv+"/bin/python", c.scripts+"/speed.py", "many_7"))
	said, err := command.Output()
	if exit, isExit := err.(*exec.ExitError); isExit { //nolint:errorlint // Output wraps nothing
		return speed{}, fmt.Errorf("timing look-ups: %w\n%s", err, tail(string(exit.Stderr)))
	}
	if err != nil {
		return speed{}, err
	}
	_, text, _ := strings.Cut(string(said), "speed ")
	var found speed
	return found, json.Unmarshal([]byte(text), &found)
}
