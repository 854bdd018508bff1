package airflow

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/leoflow/secrets-csi/test/stack"
)

const rules = "rules: [{tenants: ['*'], dags: ['*'], connections: ['*'], variables: ['*']}]\n"

// node is a core and a driver that serve one source, and the volumes of its pods.
type node struct {
	*stack.Stack
	agent  string
	source source
}

func (c *court) serve(ctx context.Context, s source, rules string) (*node, error) {
	content := map[string]string{}
	for _, path := range []string{s.connections, s.variables} {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		content[path] = string(text)
	}
	options := stack.Options{
		Bin: c.bin, Connections: content[s.connections], Variables: content[s.variables], Rules: rules,
		ConnectionsName: "connections" + filepath.Ext(s.connections),
	}
	started, err := stack.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	return &node{started, filepath.Join(c.bin, "agent"), s}, nil
}

// publish gives a pod of this name its volume, and returns where that is.
func (n *node) publish(ctx context.Context, name string, attributes map[string]string) (dir string, err error) {
	token, err := n.Token(ctx, "--tenant=acme", "--dag=judge")
	if err != nil {
		return "", err
	}
	pod := stack.Pod{Name: name, UID: "uid-" + name, Namespace: "airflow", ServiceAccount: "judge", Token: token, Attributes: attributes}
	return n.Kubelet.Target(pod), n.Kubelet.Publish(ctx, pod)
}

// attributes ask for all entries of the source's truth, and need none of them: what is refused is told by the
// comparison.
func (n *node) attributes(format string) map[string]string {
	optional := func(ids []string) string { return strings.Join(ids, "?,") + "?" }
	return map[string]string{
		"connections": optional(n.source.truth.connections()), "variables": optional(n.source.truth.variables()), "format": format,
	}
}

func (n *node) exec(dir string, more ...string) []string {
	return append([]string{n.agent, "exec", "--dir=" + dir}, more...)
}

// reads judges how a source is read: what it holds is delivered into one environment.
func (c *court) reads(ctx context.Context, s source) error {
	return c.on(ctx, s, "reads "+s.name, func(ctx context.Context, b *bench, v volumes) error {
		if err := b.plain(s.name, b.node.exec(v.json)); err != nil {
			return err
		}
		return b.askValues(ctx)
	})
}

// volumes are where those of two pods are.
type volumes struct{ uri, json string }

// on serves a source, publishes the volumes of two pods, and takes all of it away again. The machine
// may be small, so what takes several processes of Airflow has it to itself.
func (c *court) on(ctx context.Context, s source, name string, do func(context.Context, *bench, volumes) error) (err error) {
	n, err := c.serve(ctx, s, rules)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	var v volumes
	if v.uri, err = n.publish(ctx, "uri", n.attributes("uri")); err != nil {
		return err
	}
	if v.json, err = n.publish(ctx, "json", n.attributes("json")); err != nil {
		return err
	}
	b, err := c.open(n, name)
	if err != nil {
		return err
	}
	defer b.close()
	return do(ctx, b, v)
}

// delivers judges every way of delivery, rotation and revocation, the hooks, and reads
// while files change.
func (c *court) delivers(ctx context.Context, s source) error {
	some := s
	some.truth = s.truth.few()
	for _, part := range []struct {
		name string
		from source
		do   func(context.Context, *bench, volumes) error
	}{
		{"processes", s, c.processes}, {"tasks", some, c.tasks},
		{"services by files", some, c.services("files")}, {"services by environment", some, c.services("environment")},
	} {
		if kind, _, _ := strings.Cut(part.name, " "); !c.isAsked(kind) {
			continue
		}
		if err := c.timed(part.name, func() error { return c.on(ctx, part.from, part.name, part.do) }); err != nil {
			return err
		}
	}
	if c.isAsked("refusals") {
		if err := c.timed("refusals", func() error { return c.refusals(ctx) }); err != nil {
			return err
		}
	}
	return c.searchNeedles()
}

func (c *court) processes(ctx context.Context, b *bench, v volumes) error {
	for way, agent := range map[string][]string{
		"environment, URI": b.node.exec(v.uri), "environment, JSON": b.node.exec(v.json), "files": b.node.exec(v.uri, "--airflow-backend"), "backend, JSON": b.node.exec(v.json, "--airflow-backend", "--python"),
	} {
		if err := b.plain(way, agent); err != nil {
			return err
		}
	}
	return b.each(ctx, b.askValues, b.askHooks, b.judgeTable, b.rotate, b.tear)
}

func (c *court) tasks(ctx context.Context, b *bench, v volumes) error {
	if err := b.task("task, environment", b.node.exec(v.uri)); err != nil {
		return err
	}
	if err := b.task("task, files", b.node.exec(v.uri, "--airflow-backend")); err != nil {
		return err
	}
	if err := b.task("task, backend, JSON", b.node.exec(v.json, "--airflow-backend", "--python")); err != nil {
		return err
	}
	return b.each(ctx, b.askValues, b.rotate)
}

// services judges one way of delivery alone, since a metastore has one scheduler.
func (c *court) services(way string) func(context.Context, *bench, volumes) error {
	return func(ctx context.Context, b *bench, v volumes) error {
		agent := b.node.exec(v.uri)
		if way == "files" {
			agent = append(agent, "--airflow-backend")
		}
		if err := b.services(ctx, way, agent); err != nil {
			return err
		}
		return b.each(ctx, b.askValues, b.rotate)
	}
}

func (b *bench) each(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
