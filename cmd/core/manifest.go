package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/fetch/render"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Formats of manifests, beside those of connections.
const (
	formatSecret         render.Format = "secret"
	formatAirflowSecrets render.Format = "airflow-secrets"
)

// maxSecret is what Kubernetes takes of a Secret's data, in bytes.
const maxSecret = 1 << 20

var (
	secretKey  = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
	labelValue = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	namespace  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	notInName  = regexp.MustCompile(`[^a-z0-9]{2,}|[^a-z0-9.-]`)
)

// manifest is a Secret as kubectl applies it. Its data are secrets.
type manifest struct {
	name, label, id string // label is empty without one
	keys            []string
	data            map[string]string
}

// writeManifests writes Secrets, and to errs what is not in them. It fails where something is to be mended.
func (p preview) writeManifests(streams cli.Streams, raw renderFlags) error {
	if !isObjectName(raw.secretName) {
		return cli.Usagef("--secret-name is the name of a Kubernetes object: lower-case letters, digits, and between them - and single dots")
	}
	if raw.secretNamespace != "" && !namespace.MatchString(raw.secretNamespace) {
		return cli.Usagef("--secret-namespace is the name of a namespace: up to 63 lower-case letters, digits, and between them -")
	}
	manifests, faults := p.secret(raw.secretName)
	if render.Format(raw.format) == formatAirflowSecrets {
		manifests, faults = p.airflowSecrets()
	}
	for _, notice := range p.notices {
		_, _ = fmt.Fprintf(streams.Err, "%s: %s\n", notice.Code, notice)
		if notice.isProblem() || notice.Code == codeReference {
			faults = append(faults, fmt.Errorf("%s %q is not in it", notice.Kind, notice.ID))
		}
	}
	for _, one := range manifests {
		if err := one.write(streams.Out, raw.secretNamespace); err != nil {
			return err
		}
	}
	return errors.Join(faults...)
}

// isObjectName tells what Kubernetes takes for the name of a Secret.
func isObjectName(name string) bool { return len(name) <= 253 && objectName.MatchString(name) }

// secret is one of all entries, by the names of their environment variables.
func (p preview) secret(name string) (made []manifest, faults []error) {
	one := manifest{name: name, data: map[string]string{}}
	size := 0
	for _, e := range p.entries {
		_, isThere := one.data[e.Env]
		switch {
		case isThere:
			faults = append(faults, fmt.Errorf("%s %q: %s is there already, as of another team; give --rules and --as", e.Kind, e.ID, e.Env))
		case !secretKey.MatchString(e.Env):
			faults = append(faults, fmt.Errorf("%s %q: a Secret takes no key %q", e.Kind, e.ID, e.Env))
		default:
			one.keys, one.data[e.Env] = append(one.keys, e.Env), e.value.Reveal()
			size += e.value.Len()
		}
	}
	if size > maxSecret {
		return nil, append(faults, fmt.Errorf("its %d bytes are more than a Secret holds, which is %d: render for fewer by --rules and --as", size, maxSecret))
	}
	if len(one.keys) == 0 {
		return nil, faults
	}
	return []manifest{one}, faults
}

// airflowSecrets are one for each entry, as Airflow's KubernetesSecretsBackend finds them by its defaults.
func (p preview) airflowSecrets() (made []manifest, faults []error) {
	taken := map[string]bool{}
	for _, e := range p.entries {
		one := manifest{
			label: "airflow.apache.org/variable-key", id: e.ID, keys: []string{"value"}, data: map[string]string{"value": e.value.Reveal()},
			name: string(e.Kind) + "-" + strings.Trim(notInName.ReplaceAllString(strings.ToLower(e.ID), "-"), "-."),
		}
		if e.Kind == entry.Connection {
			one.label = "airflow.apache.org/connection-id"
		}
		switch {
		case !labelValue.MatchString(e.ID):
			faults = append(faults, fmt.Errorf("%s %q: no label can have that id, by which Airflow would look for it", e.Kind, e.ID))
			continue
		case taken[one.name]:
			faults = append(faults, fmt.Errorf("%s %q: the Secret's name %s is another's; rename one", e.Kind, e.ID, one.name))
			continue
		case e.value.Len() > maxSecret:
			faults = append(faults, fmt.Errorf("%s %q: its %d bytes are more than a Secret holds, which is %d", e.Kind, e.ID, e.value.Len(), maxSecret))
			continue
		}
		taken[one.name] = true
		made = append(made, one)
	}
	return made, faults
}

// write writes values as base64, so that any is well-formed YAML, and quotes names that YAML takes for no text.
func (m manifest) write(out io.Writer, namespace string) error {
	var text strings.Builder
	text.WriteString("---\napiVersion: v1\nkind: Secret\ntype: Opaque\nmetadata:\n  name: " + plain(m.name) + "\n")
	if namespace != "" {
		text.WriteString("  namespace: " + plain(namespace) + "\n")
	}
	if m.label != "" {
		text.WriteString("  labels: {" + m.label + ": " + strconv.Quote(m.id) + "}\n")
	}
	text.WriteString("data:\n")
	for _, key := range m.keys {
		text.WriteString("  " + key + ": " + base64.StdEncoding.EncodeToString([]byte(m.data[key])) + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// yamlWords are the names that YAML 1.1 takes for something else than a text, besides those that begin with a digit.
var yamlWords = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

// plain is a name as YAML reads it as a text.
func plain(name string) string {
	if name[0] <= '9' || slices.Contains(yamlWords, name) {
		return strconv.Quote(name)
	}
	return name
}
