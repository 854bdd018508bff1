package airflow

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leoflow/secrets-csi/internal/testport"
)

// The entries that every version judges by, as a file that its import command takes.
var (
	//go:embed testdata/connections.json
	connectionsFile string
	//go:embed testdata/variables.json
	variablesFile string
)

// court is one version of Airflow, and what it judges.
type court struct {
	version          version
	bin, cache       string
	report           *report
	changes, lookups int
	parts, table     string

	dir, scripts string
	blank        home
}

// source is a file of entries, and what Airflow's own import makes of it.
type source struct {
	name, connections, variables string
	// hooks has the providers' hooks asked too, which takes its time.
	hooks bool
	truth truth
}

func (c *court) judge(ctx context.Context) (err error) {
	if c.dir, err = os.MkdirTemp("", "leoflow-airflow-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	venv, err := c.version.install(ctx, c.cache)
	if err != nil {
		return err
	}
	say("Airflow %s", c.version.number)
	c.scripts = filepath.Join(c.dir, "scripts")
	if err := writeScripts(c.scripts); err != nil {
		return err
	}
	address, err := testport.Free()
	if err != nil {
		return err
	}
	c.blank = home{dir: filepath.Join(c.dir, "blank"), venv: venv, scripts: c.scripts, version: c.version, api: address}
	if err := c.blank.prepare(ctx); err != nil {
		return err
	}
	sources, err := c.sources(ctx)
	if err != nil {
		return err
	}
	for _, each := range sources[1:] {
		if err := c.timed("reads of "+each.name, func() error { return c.reads(ctx, each) }); err != nil {
			return err
		}
	}
	return c.delivers(ctx, sources[0])
}

// timed says how long a part took.
func (c *court) timed(part string, do func() error) error {
	started := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	say("%s, %s: %.0f s", c.version.number, part, time.Since(started).Seconds())
	return nil
}

func (c *court) isAsked(part string) bool { return slices.Contains(strings.Split(c.parts, ","), part) }

// sources are the version's own exports, the JSON one first, and the file they are from.
func (c *court) sources(ctx context.Context) ([]source, error) {
	written := source{name: "written file", connections: filepath.Join(c.dir, "connections.json"), variables: filepath.Join(c.dir, "variables.json")}
	for path, content := range map[string]string{written.connections: withKey(connectionsFile), written.variables: variablesFile} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	exports := ""
	err := c.timed("import of the "+written.name, func() (err error) {
		exports, err = c.establish(ctx, &written)
		return err
	})
	if err != nil {
		return nil, err
	}
	sources := []source{{name: "export .json", hooks: c.version.hooks}}
	if c.isAsked("reads") {
		sources = append(sources, source{name: "export .yaml"}, source{name: "export .env"})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for i := range sources {
		sources[i].connections = filepath.Join(exports, "connections."+sources[i].name[len("export ."):])
		sources[i].variables = filepath.Join(exports, "variables.json")
		group.Go(func() error {
			_, err := c.establish(ctx, &sources[i])
			return err
		})
	}
	err = c.timed("import of exports", group.Wait)
	if c.isAsked("reads") {
		sources = append(sources, written)
	}
	return sources, err
}

// establish imports a source into a metastore of its own, and takes down what that then
// holds. It returns the directory of the exports of it.
func (c *court) establish(ctx context.Context, s *source) (exports string, err error) {
	place, err := c.blank.copied(filepath.Join(c.dir, "truth of "+s.name))
	if err != nil {
		return "", err
	}
	exports = filepath.Join(place.dir, "exports")
	if err := os.MkdirAll(exports, 0o755); err != nil {
		return "", err
	}
	// Hooks of today look connections up as a worker does, which asks the metastore only in a server.
	environ := []string{"_AIRFLOW_PROCESS_CONTEXT=server"}
	if s.hooks {
		environ = append(environ, "JUDGE_HOOKS=1")
	}
	args := []string{filepath.Join(c.scripts, "truth.py"), s.connections, s.variables, exports}
	if err := place.run(ctx, "python", args, environ...); err != nil {
		return "", fmt.Errorf("importing the %s: %w", s.name, err)
	}
	s.truth, err = readTruth(filepath.Join(exports, "truth.json"))
	return exports, err
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "airflow: "+format+"\n", args...) }
