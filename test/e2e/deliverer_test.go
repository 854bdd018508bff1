package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/test/stack"
)

// direct lets everybody read everything, without a driver, too.
const direct = "rules: [{tenants: ['*'], dags: ['*'], connections: ['*'], variables: ['*'], direct: true}]\n"

// deliverer brings the files of one pod: a driver onto a volume, or a fetcher into a directory. What a
// scenario wants of them is written once, and docs/without-driver.md lists what differs.
type deliverer interface {
	// begin asks for files, and returns once they are complete, or with why they will not be.
	begin(attributes map[string]string) error
	// dir is where they are.
	dir() string
	// renew gives the pod the tokens that the scenario has now, as kubelet does.
	renew() error
	// kill ends it at once, and again starts it for the same pod.
	kill()
	again()
	// output is all that it has said.
	output() string
}

// scenario is a core, and one of the deliverers.
type scenario struct {
	*testing.T
	*stack.Stack
	deliverer
	token string
	// identity is the pod's at stores and clouds; of no account where it has none.
	identity *identity
	// flags are the fetcher's, of whichever deliverer.
	flags []string
}

// identity is a service account, and its tokens by audience. Kubelet renews them in place.
type identity struct {
	account string
	tokens  map[string]string
}

// overBoth runs a scenario over each deliverer.
func overBoth(t *testing.T, run func(s scenario)) {
	t.Helper()
	overBothBy(t, direct, warehouseAndPayroll, run)
}

func overBothBy(t *testing.T, rules, connections string, run func(s scenario)) {
	t.Helper()
	overBothOf(t, stack.Options{Connections: connections, Variables: `{"region": "north"}`, Rules: rules}, nil, run)
}

// overBothOf has a fetcher with these flags besides.
func overBothOf(t *testing.T, options stack.Options, flags []string, run func(s scenario)) {
	t.Helper()
	for _, name := range []string{"onto a volume", "into a directory"} {
		t.Run(name, func(t *testing.T) {
			options.WithoutDriver = name == "into a directory"
			options.CoreArgs, options.DriverArgs = []string{"--log-level=debug"}, append([]string{"--log-level=debug", "--poll-every=1s"}, flags...)
			s := scenario{T: t, Stack: start(t, options), flags: flags, identity: &identity{}}
			s.token = token(t, s.Stack)
			if s.Kubelet != nil {
				s.deliverer = &ontoVolume{s: s}
			} else {
				s.deliverer = newIntoDirectory(s)
			}
			run(s)
			for _, secret := range []string{"needle", cloudNeedle, s.token} {
				assert.NotContains(t, s.output(), secret)
				assert.NotContains(t, s.Core.Output(), secret)
			}
		})
	}
}

type ontoVolume struct {
	s   scenario
	pod stack.Pod
}

func (o *ontoVolume) begin(attributes map[string]string) error {
	o.pod = pod("a", o.s.token, attributes)
	return o.renew()
}

func (o *ontoVolume) renew() error {
	if who := o.s.identity; who.account != "" {
		o.pod.ServiceAccount, o.pod.CloudTokens = who.account, maps.Clone(who.tokens)
	}
	for {
		err := o.s.Kubelet.Publish(testwait.Context(o.s), o.pod)
		if err == nil || !strings.Contains(err.Error(), "code = Unavailable") {
			return err
		}
	}
}

func (o *ontoVolume) dir() string { return o.s.Kubelet.Target(o.pod) }

func (o *ontoVolume) kill() { o.s.Driver.Kill() }

func (o *ontoVolume) again() {
	require.NoError(o.s, o.s.StartDriver(context.Background()))
	require.NoError(o.s, o.s.Kubelet.Publish(o.s.Context(), o.pod), "kubelet's republish")
}

func (o *ontoVolume) output() string { return o.s.NodeOutput() }

type intoDirectory struct {
	s       scenario
	path    string
	args    []string
	process *stack.Process
	said    string
}

func newIntoDirectory(s scenario) *intoDirectory {
	s.Helper()
	d := &intoDirectory{s: s, path: s.TempDir()}
	require.NoError(s, unix.Mount("theirs", d.path, "tmpfs", 0, ""))
	s.Cleanup(func() {
		if d.process != nil && !d.process.HasEnded() {
			assert.NoError(s, d.process.Stop())
		}
		require.NoError(s, unix.Unmount(d.path, unix.MNT_DETACH))
	})
	return d
}

func (d *intoDirectory) begin(attributes map[string]string) error {
	file := filepath.Join(d.s.Dir, "task.token")
	require.NoError(d.s, os.WriteFile(file, []byte(d.s.token), 0o600))
	d.args = []string{
		"--into=" + d.path, "--watch", "--task-token-file=" + file, "--log-level=debug", "--poll-every=1s",
		"--core-address=" + d.s.Address(), "--core-server-name=core", "--core-ca=" + d.s.PKI.CA(),
	}
	for name, text := range attributes {
		d.args = append(d.args, "--"+name+"="+text)
	}
	d.args = append(d.args, d.s.flags...)
	if d.s.identity.account != "" {
		var files []string
		for audience := range d.s.identity.tokens {
			files = append(files, d.tokenFile(audience))
		}
		d.args = append(d.args, "--token-file="+strings.Join(files, ","))
		require.NoError(d.s, d.renew())
	}
	return d.run()
}

// tokenFile is of a projected token.
func (d *intoDirectory) tokenFile(audience string) string {
	return filepath.Join(d.s.Dir, "projected-"+strings.ReplaceAll(audience, "/", "_"))
}

func (d *intoDirectory) renew() error {
	for audience, text := range d.s.identity.tokens {
		path := d.tokenFile(audience)
		if err := errors.Join(os.WriteFile(path+".next", []byte(text), 0o600), os.Rename(path+".next", path)); err != nil {
			return err
		}
	}
	return nil
}

func (d *intoDirectory) run() error {
	var err error
	d.process, err = stack.Run(filepath.Join(binaries(d.s.T), "fetcher"), d.args...)
	require.NoError(d.s, err)
	ended := make(chan error, 1)
	go func() {
		_, err := d.process.WaitFor(testwait.Context(d.s), "the directory is complete")
		ended <- err
	}()
	if testwait.Receive(d.s, ended) == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", d.process.Wait(), d.process.Output())
}

func (d *intoDirectory) dir() string { return d.path }

func (d *intoDirectory) kill() {
	d.process.Kill()
	d.said += d.process.Output()
}

func (d *intoDirectory) again() { require.NoError(d.s, d.run()) }

func (d *intoDirectory) output() string { return d.said + d.process.Output() }

// value is what the file of a connection says; empty where there is none.
func (s scenario) value(id string) string {
	content, err := os.ReadFile(filepath.Join(s.dir(), "connections", id))
	if err != nil {
		return ""
	}
	return string(content)
}

// within waits until it is so, and holds how long that took against the limit.
func (s scenario) within(limit time.Duration, what string, isSo func() bool) {
	s.Helper()
	began := time.Now()
	require.Eventually(s, isSo, testwait.Limit, 2*time.Millisecond, "%s: %s", what, s.output())
	took := time.Since(began)
	s.Logf("%s took %v", what, took.Round(time.Millisecond))
	assert.LessOrEqual(s, took, limit, what)
}

func (s scenario) line(id string) layout.Entry {
	s.Helper()
	shown, err := mount.LookInto(s.dir())
	require.NoError(s, err)
	for _, entry := range shown.Manifest.Entries {
		if entry.ID == id {
			return entry
		}
	}
	require.Fail(s, "no such entry", id)
	return layout.Entry{}
}

// rules replaces core's.
func (s scenario) rules(content string) {
	s.Helper()
	next := filepath.Join(s.Dir, "rules.yaml.next")
	require.NoError(s, os.WriteFile(next, []byte(content), 0o600))
	require.NoError(s, os.Rename(next, filepath.Join(s.Dir, "rules.yaml")))
}

const warehouseAndPayroll = `{"warehouse": "mysql://u:needle-first@h/s", "payroll": "mysql://u:needle-secret@h/s"}`

// shape is all that a reader of the directory could tell deliverers by, without generations' names.
func shape(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	generation, err := os.Readlink(filepath.Join(dir, layout.DataLink))
	require.NoError(t, err)
	require.NoError(t, filepath.WalkDir(dir, func(path string, one fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := one.Info()
		require.NoError(t, err)
		name := strings.ReplaceAll(strings.TrimPrefix(path, dir), generation, "GENERATION")
		if name != "" {
			found[name] = info.Mode().String()
		}
		if info.Mode().IsRegular() && !strings.HasSuffix(name, layout.ManifestFile) {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			found[name] += " " + string(content)
		}
		return nil
	}))
	return found
}

func TestBothDeliverTheSame(t *testing.T) {
	var shapes []map[string]string
	var lines [][]layout.Entry
	var environments []string
	overBoth(t, func(s scenario) {
		require.NoError(s, s.begin(map[string]string{"connections": "warehouse, payroll?, none?", "variables": "*", "mode": "0444"}))
		shapes = append(shapes, shape(s.T, s.dir()))
		shown, err := mount.LookInto(s.dir())
		require.NoError(s, err)
		for i := range shown.Manifest.Entries { // each core has a key of its own for versions
			assert.Equal(s, shown.Manifest.Entries[i].State == layout.Delivered, shown.Manifest.Entries[i].Version != "")
			shown.Manifest.Entries[i].Version = ""
		}
		lines = append(lines, shown.Manifest.Entries)
		agent := testwait.Command(s, filepath.Join(binaries(s.T), "agent"), "exec", "--dir", s.dir(), "--", "sh", "-c", "env | grep AIRFLOW | sort")
		out, err := agent.Output()
		require.NoError(s, err)
		testneed.Program(s, "python3")
		task := testwait.Command(s, "python3", "-c", `
from leoflow_runtime import get_connection, get_variable
print(get_connection("warehouse").get_uri(), get_variable("region"))
for other in ("payroll", "none"):
    try: print(get_connection(other).get_uri())
    except Exception as e: print(type(e).__name__, e)
`)
		task.Env = append(os.Environ(), "LEOFLOW_DIR="+s.dir(), "PYTHONPATH="+filepath.Join("..", "..", "python"), "PYTHONDONTWRITEBYTECODE=1")
		seen, err := task.CombinedOutput()
		require.NoError(t, err, string(seen))
		environments = append(environments, string(out)+strings.ReplaceAll(string(seen), s.dir(), "DIR"))
	})
	require.Len(t, shapes, 2)
	assert.Equal(t, shapes[0], shapes[1])
	assert.Equal(t, lines[0], lines[1])
	assert.Equal(t, environments[0], environments[1])
	assert.Contains(t, environments[1], "AIRFLOW_CONN_WAREHOUSE=mysql://u:needle-first@h/s\n")
	assert.Contains(t, environments[1], "mysql://u:needle-first@h/s north\n", "of leoflow_runtime")
}

func TestBothRotateAndRevoke(t *testing.T) {
	overBoth(t, func(s scenario) {
		require.NoError(s, s.begin(map[string]string{"connections": "warehouse, payroll", "variables": "region"}))
		require.NoError(s, s.ReplaceInConnections("first", "second"))
		s.within(soon, "a rotation", func() bool { return s.value("warehouse") == "mysql://u:needle-second@h/s" })
		s.rules(strings.Replace(direct, "connections: ['*']", "connections: [warehouse]", 1))
		s.within(soon, "a revocation", func() bool { return s.value("payroll") == "" })
		assert.Equal(s, layout.Denied, s.line("payroll").State)
		assert.True(s, s.line("payroll").Required)
		s.rules(direct)
		s.within(soon, "what is given again", func() bool { return s.value("payroll") != "" })
	})
}

func TestBothHoldWhatIsBroken(t *testing.T) {
	overBoth(t, func(s scenario) {
		require.NoError(s, s.begin(map[string]string{"connections": "warehouse, payroll"}))
		require.NoError(s, s.WriteConnections(`{"warehouse": "mysql://u:needle-first@h:port/s", "payroll": "mysql://u:needle-other@h/s"}`))
		s.within(soon, "the neighbour of a broken one", func() bool { return s.value("payroll") == "mysql://u:needle-other@h/s" })
		assert.Equal(s, "mysql://u:needle-first@h/s", s.value("warehouse"))
		require.NotNil(s, s.line("warehouse").Held)
		assert.Contains(s, s.line("warehouse").Held.Why, "port")
	})
}

func TestBothRefuseAPodThatLacksWhatItRequires(t *testing.T) {
	for name, row := range map[string]struct{ rules, connections, says string }{
		"denied":  {strings.Replace(direct, "connections: ['*']", "connections: [warehouse]", 1), "payroll", `connection "payroll"`},
		"missing": {direct, "none", `connection "none" does not exist in core`},
	} {
		t.Run(name, func(t *testing.T) {
			overBothBy(t, row.rules, warehouseAndPayroll, func(s scenario) {
				err := s.begin(map[string]string{"connections": row.connections})
				require.ErrorContains(s, err, row.says)
				_, err = mount.LookInto(s.dir())
				require.Error(s, err, "nothing passes for complete")
			})
		})
	}
}

func TestBothOutliveCore(t *testing.T) {
	t.Parallel() // most of the time it waits
	overBoth(t, func(s scenario) {
		require.NoError(s, s.Core.Stop())
		begun := make(chan error, 1)
		go func() { begun <- s.begin(map[string]string{"connections": "warehouse"}) }()
		back := make(chan error, 1)
		time.AfterFunc(time.Second, func() { back <- s.StartCore(context.Background()) })
		require.NoError(s, testwait.Receive(s, begun), "who starts waits for core")
		require.NoError(s, testwait.Receive(s, back))
		assert.Equal(s, "mysql://u:needle-first@h/s", s.value("warehouse"))

		require.NoError(s, s.Core.Stop())
		require.NoError(s, s.ReplaceInConnections("first", "second"))
		assert.Equal(s, "mysql://u:needle-first@h/s", s.value("warehouse"))
		require.NoError(s, s.StartCore(context.Background()))
		s.within(testwait.Limit, "what changed meanwhile", func() bool { return s.value("warehouse") == "mysql://u:needle-second@h/s" })
	})
}

// A deliverer that is killed leaves one whole generation, and who starts again goes on from there.
func TestBothMayBeKilledAtAnyInstant(t *testing.T) {
	overBoth(t, func(s scenario) {
		require.NoError(s, s.begin(map[string]string{"connections": "warehouse, payroll"}))
		for round := range 10 {
			was := s.value("warehouse")
			changed := fmt.Sprintf("mysql://u:needle-%d@h/s", round)
			require.NoError(s, s.WriteConnections(fmt.Sprintf(`{"warehouse": %q, "payroll": %q}`, changed, changed)))
			pause := time.NewTimer(time.Duration(round*3) * time.Millisecond)
			<-pause.C
			s.kill()
			shown, err := mount.LookInto(s.dir())
			require.NoError(s, err)
			assert.Len(s, shown.Manifest.Entries, 2)
			assert.Contains(s, []string{was, changed}, s.value("warehouse"))
			if round > 0 {
				assert.Equal(s, s.value("warehouse"), s.value("payroll"), "of one generation")
			}
			s.again()
			s.within(testwait.Limit, "the change", func() bool { return s.value("payroll") == changed && s.value("warehouse") == changed })
		}
		left, err := filepath.Glob(filepath.Join(s.dir(), "..2*"))
		require.NoError(s, err)
		assert.Len(s, left, 1, "of those that were killed nothing is left")
	})
}

// From the start of the process to the files, and what it takes in memory: asking core alone, and with every source that
// there is, of which three are asked.
func TestAFetcherThatFillsADirectoryIsSmallAndQuick(t *testing.T) {
	var connections []string
	var ten string
	for i := range 10 {
		connections = append(connections, fmt.Sprintf(`"c%d": "postgres://u:needle-%d@h/d"`, i, i))
		ten += fmt.Sprintf("c%d, ", i)
	}
	entries := "{" + strings.Join(connections, ", ") + "}"
	c := newClouds(t)
	c.servers["s3"].Hold(func(string, string, string) (string, error) { return soundURI, nil })
	everySource := append(c.ofPod(), "--source-aws-secretsmanager-kwargs={}", `--source-aws-ssm-kwargs={"endpoint_url": "`+c.servers["s3"].URL()+`"}`,
		`--source-gcp-secretmanager-kwargs={"project_id": "project"}`, `--source-azure-keyvault-kwargs={"vault_url": "https://v.vault.azure.net"}`,
		"--azure-tenant="+cloudtest.AzureTenant, `--source-vault-kwargs={"url": "https://127.0.0.1:1", "auth_type": "kubernetes", "kubernetes_role": "reader"}`,
		"--file-connections="+file(t, "connections.json", []byte(`{"f": "postgres://u:needle@h/d"}`)))
	for name, row := range map[string]struct {
		flags  []string
		wanted string
	}{"core": {nil, "*"}, "every source": {everySource, ten + "f@file, a@aws-secretsmanager"}} {
		t.Run(name, func(t *testing.T) {
			s := scenario{T: t, flags: row.flags, identity: &identity{}, Stack: start(t, stack.Options{Connections: entries, Variables: "{}", Rules: direct, WithoutDriver: true})}
			s.token = token(t, s.Stack)
			if row.flags != nil {
				*s.identity = c.identity("etl")
			}
			best, peak, idle := time.Hour, 0, 0
			for round := range 5 {
				d := newIntoDirectory(s)
				s.deliverer = d
				began := time.Now()
				require.NoError(t, d.begin(map[string]string{"connections": row.wanted}))
				best = min(best, time.Since(began))
				next := fmt.Sprintf("needle-next-%d", round)
				require.NoError(t, s.WriteConnections(strings.ReplaceAll(entries, "needle-0", next)))
				s.within(soon, "a rotation", func() bool { return strings.Contains(s.value("c0"), next) })
				peak, idle = max(peak, memoryOf(t, d.process.PID(), "VmHWM")), max(idle, memoryOf(t, d.process.PID(), "VmRSS"))
				require.NoError(t, d.process.Signal(syscall.SIGTERM))
				require.NoError(t, d.process.Wait())
			}
			t.Logf("first delivery of 10 entries %v after the start; resident %d KiB, at most %d KiB", best.Round(time.Millisecond), idle, peak)
			assert.LessOrEqual(t, best, 300*time.Millisecond)
			assert.LessOrEqual(t, peak, 40<<10)
			assert.LessOrEqual(t, idle, 30<<10)
		})
	}
}

func memoryOf(t *testing.T, pid int, field string) (kib int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, field+":"); found {
			_, err := fmt.Sscan(rest, &kib)
			require.NoError(t, err)
			return kib
		}
	}
	require.NoError(t, errors.New("no such field"))
	return 0
}
