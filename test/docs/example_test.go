package docs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/console"
	"github.com/leoflow/secrets-csi/test/stack"
)

// exampleElsewhere are the examples that do not run on this machine, each with the reason.
var exampleElsewhere = map[string]string{
	"agent install /leoflow":                                                    "it is for an init container; README's quick start runs it in one",
	"agent install --python /leoflow":                                           "it is for an init container; cmd/agent tests it",
	"agent env --format kubelet --output /env/leoflow":                          "it is for an init container; README's quick start runs it in one",
	"agent wait --rotation --exit-code 42 --env-file /env/leoflow":              "it is for a sidecar; test/kind/suite runs it in one",
	"agent exec --as libpq=warehouse -- psql -c 'select 1'":                     "it wants a server; cmd/agent has one, and runs it so",
	"agent exec --as fields=mart -- dbt run":                                    "it wants dbt; test/python has it, and runs it so",
	"agent exec --airflow-backend --python -- airflow tasks run my_dag my_task": "it wants the wheel beside the agent, as its image has it; cmd/agent tests it so",
	"core serve --airflow-db db-url --airflow-fernet-keys fernet-keys --rules rules.yaml --cert tls.crt --key tls.key --jwt-key-file jwt.key": "it wants Airflow's database; test/metastore has one, and serves it so",
	"kubectl -n leoflow exec ds/leoflow-driver -c driver -- /driver doctor":                                                                   inRunbook,
	"kubectl -n leoflow exec ds/leoflow-driver -c fetcher -- /fetcher doctor":                                                                 inRunbook,
	"fetcher await-rollout --namespace=leoflow --daemonset=leoflow-driver":                                                                    asInChart,
	"fetcher check-unused --kubeconfig=$HOME/.kube/config":                                                                                    "it needs a cluster; test/kind/manual uninstalls the chart, which runs it",
	"driver doctor --json":  "it is for the driver's own container; test/e2e and test/kind/suite run it",
	"fetcher doctor --json": "it is for the fetcher's own container; test/e2e and test/kind/suite run it",
	`core token --jwt-key-file jwt.key --tenant acme --dag billing | kubectl create secret generic task-token --from-file=token=/dev/stdin`:                                  "it needs a cluster; test/kind/suite makes such a Secret",
	"driver --node-id=$(NODE_NAME) --registration-dir=/registration --kubelet-endpoint=/var/lib/kubelet/plugins/secrets.csi.leoflow.io/csi.sock":                             asInChart,
	"fetcher --node-id=$(NODE_NAME) --core-address=leoflow-core.leoflow.svc:7443 --core-ca=/etc/leoflow/ca.crt --health-address=:9808":                                       asInChart,
	"fetcher --into=/secrets --watch --connections=warehouse --token-file=/var/run/leoflow/token --core-address=leoflow-core.leoflow.svc:7443 --core-ca=/etc/leoflow/ca.crt": "it is for a pod; test/kind/suite runs it in one",
	`fetcher --into=/dev/shm/leoflow --connections="*" --file-connections=connections.yaml`:                                                                                  "it leaves files in memory; docs/without-driver.md has it, and takes them away",
	"fetcher complete --into /secrets": "it is for that pod's probe; test/kind/suite runs it in one",
	"core serve --connections connections.json --rules rules.yaml --cert tls.crt --key tls.key --auth tokenreview --node-service-accounts leoflow/leoflow-driver": asInChart,
}

const (
	asInChart = "it is for a pod; the chart runs it so"
	inRunbook = "it needs a cluster; docs/runbook.md has it, and test/kind/manual runs that"
)

// examples are the commands that a command's help shows, as steps of a document.
func examples(command, help string) (all console.Document) {
	all.Path = command + " --help"
	_, list, _ := strings.Cut(help, "\nExamples:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for i, line := range strings.Split(strings.TrimSpace(list), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all.Steps = append(all.Steps, console.Step{At: fmt.Sprintf("%s: line %d of its examples", all.Path, i+1), Command: line})
		}
	}
	return all
}

func tryExample(t *testing.T, machine machine, step console.Step) {
	document := console.Document{Steps: []console.Step{step}}
	needPrograms(t, document)
	pki, err := stack.NewPKI(t.TempDir())
	require.NoError(t, err)
	_, _, err = pki.Issue("tls")
	require.NoError(t, err)
	shell := machine.sitDown(t, t.TempDir())
	defer shell.Close()
	output, err := shell.Run(testwait.Context(t), "cp '"+pki.Dir+"'/* .\n"+text(t, "testdata/examples.sh"))
	require.NoError(t, err, output)
	trial := console.Trial{Shell: shell, Skip: func(string) string { return "" }, Patience: testwait.Limit, Log: t.Logf}
	assert.NoError(t, trial.Run(t.Context(), document))
}

func TestEveryExampleOfTheHelpRuns(t *testing.T) {
	machine := prepare(t)
	ran, excused := 0, 0
	for command, help := range helpOfAll(t) {
		document := examples(command, help)
		for _, step := range document.Steps {
			if reason, ok := exampleElsewhere[step.Command]; ok {
				t.Logf("%s: not run here, since %s: %s", step.At, reason, step.Command)
				excused++
				continue
			}
			ran++
			t.Run(step.At, func(t *testing.T) { tryExample(t, machine, step) })
		}
	}
	assert.Greater(t, ran, 20)
	assert.Len(t, exampleElsewhere, excused, "an example is excused that no help has")
}
