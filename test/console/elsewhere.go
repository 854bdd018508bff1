package console

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// elsewhere are the commands that no test can run as they stand, and why. A command is
// here as the documents have it, without a comment at its end; one that no document has
// fails a test.
var elsewhere = map[string]string{
	".ci/run quick": "it runs the tests, this one among them",

	"(cd images && go run . --help)": "it takes the modules of images, which a fresh machine has not; make e2e-image runs the same program",
	"make image":                     "it builds for all architectures; make image-test and make e2e-image build images by the same program",

	"docker load --input dist/images/driver-linux-amd64.tar":                                   noEngine,
	"kind load image-archive dist/images/driver-linux-amd64.tar":                               noEngine,
	"ctr --namespace k8s.io images import dist/images/driver-linux-amd64.tar":                  "it is for a node; test/kind loads its images so",
	"crane push dist/images/driver-linux-amd64.tar registry.example.com/leoflow/driver:v1.2.3": noRegistry,

	"sha256sum --check --ignore-missing SHA256SUMS":       noRelease,
	"git checkout v0.1.0":                                 noRelease,
	"diff dist/release/SHA256SUMS ~/Downloads/SHA256SUMS": noRelease,
	"mkdir driver && tar --extract --file leoflow-secrets-csi-driver_0.1.0.oci.tar --directory driver":                           noRelease,
	"crane push driver registry.example.com/leoflow/driver:v0.1.0":                                                               noRegistry,
	"skopeo copy --all oci-archive:leoflow-secrets-csi-driver_0.1.0.oci.tar docker://registry.example.com/leoflow/driver:v0.1.0": noRegistry,
	"ctr --namespace k8s.io images import leoflow-secrets-csi-driver_0.1.0.oci.tar":                                              noRelease,
	"kind load image-archive leoflow-secrets-csi-driver_0.1.0_linux_amd64.image.tar":                                             noEngine,
	"docker load --input leoflow-secrets-csi-driver_0.1.0_linux_amd64.image.tar":                                                 noEngine,
	"(cd api && go tool -modfile=../tools/buf.mod buf breaking --against '../.git#tag=v0.1.0,subdir=api')":                       noRelease,
	"git tag --annotate v0.1.0 --message v0.1.0":                                                                                 "it would make a release of the checkout",

	"python3 -m leoflow_runtime scan dags/ --pods pods/ --rules rules.yaml": "the DAGs and pods are the reader's; python/tests/test_scan.py runs it on some of its own",

	"gcloud iam service-accounts add-iam-policy-binding etl@PROJECT.iam.gserviceaccount.com \\\n" +
		`    --role roles/iam.workloadIdentityUser --member "serviceAccount:PROJECT.svc.id.goog[airflow/etl]"`: noCloud,

	"helm install leoflow charts/leoflow-secrets-csi --namespace leoflow --create-namespace \\\n" +
		"    --set core.address=core.example.com:7443 --set core.ca.secretName=core-ca \\\n" +
		"    --set test.connections=an-id-that-core-has --set test.variables=": "it needs a core elsewhere; make chart-test renders it",
}

// Reasons that several commands share.
const (
	noCloud    = "it needs an account at a cloud"
	noEngine   = "it needs a container engine"
	noRegistry = "it needs a registry"
	noRelease  = "it needs a release, whose files TestDocumentNamesFilesOfARelease knows"
)

// Elsewhere are the commands that are never run where documents are tried.
func Elsewhere() (commands []string) {
	for command := range elsewhere {
		commands = append(commands, command)
	}
	return commands
}

var comment = regexp.MustCompile(`\s+# [^\n]*$`)

// Plain is a command without the comment at its end.
func Plain(command string) string { return strings.TrimSpace(comment.ReplaceAllString(command, "")) }

var makeCommand = regexp.MustCompile(`^(?:[A-Z]+=\S+ )*make\b((?: [a-z][a-z0-9-]*)*)(?: [A-Z]+=\S+)*$`)

// Targets are those of a command that is nothing but make; none for another command.
func Targets(command string) []string {
	match := makeCommand.FindStringSubmatch(Plain(command))
	if match == nil {
		return nil
	}
	if targets := strings.Fields(match[1]); len(targets) > 0 {
		return targets
	}
	return []string{"help"}
}

// Automation is the script of what CI runs.
type Automation string

// ReadAutomation reads it from the checkout at root.
func ReadAutomation(root string) (Automation, error) {
	text, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	return Automation(text), err
}

// runs tells whether the command is one of make's that CI runs by itself.
func (a Automation) runs(command string) bool {
	targets := Targets(command)
	for _, target := range targets {
		if !regexp.MustCompile(`(?m)\bstep make ` + target + `( |$)`).MatchString(string(a)) {
			return false
		}
	}
	return len(targets) > 0
}

// Skip tells why a command is not run where documents are tried; "" if it is.
func (a Automation) Skip(command string) string {
	if a.runs(command) {
		return "CI runs it by itself"
	}
	return elsewhere[Plain(command)]
}
