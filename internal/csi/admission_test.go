package csi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leoflow/secrets-csi/internal/attribute"
	"github.com/leoflow/secrets-csi/internal/testgolden"
)

const admissionFile = "../../charts/leoflow-secrets-csi/files/admission.yaml"

// The chart's policy is made of this package's own table and words. test/chart evaluates it against
// Check, and test/kind/suite has a real API server do so.
func TestDocumentAdmissionPolicy(t *testing.T) {
	testgolden.File(t, admissionFile, admissionPolicy(), "make generate")
}

// admissionPolicy is the specification of a ValidatingAdmissionPolicy: what the driver would refuse in any
// case, for pods and for what makes pods. It must not refuse what the driver accepts, so sources, which
// are for the driver's flags to say, and what CEL cannot reckon at a bounded cost, such as two ids that
// are one, are left to the driver. CEL as of Kubernetes 1.30.
func admissionPolicy() string {
	var out strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	line("# Written by 'make generate' from internal/csi. The driver decides in any case, so what cannot be")
	line("# evaluated is admitted.")
	line("failurePolicy: Ignore")
	line("matchConstraints:")
	line("  resourceRules:")
	for _, rule := range []struct{ group, resources, operations string }{
		{"", "pods", "CREATE"}, {"apps", "deployments, statefulsets, daemonsets", "CREATE, UPDATE"}, {"batch", "jobs, cronjobs", "CREATE, UPDATE"},
	} {
		line("  - {apiGroups: [%q], apiVersions: [v1], resources: [%s], operations: [%s]}", rule.group, rule.resources, rule.operations)
	}
	line("variables:")
	for _, variable := range admissionVariables() {
		line("- name: %s", variable.name)
		line("  expression: >-")
		for text := range strings.Lines(strings.TrimSpace(variable.expression)) {
			line("    %s", strings.TrimSpace(text))
		}
	}
	line("validations:")
	line("- expression: variables.mistakes.size() == 0")
	line("  reason: Invalid")
	line("  message: a volume of %s is not as the driver takes it", Name)
	line("  messageExpression: variables.mistakes.join('; ')")
	return out.String()
}

type admissionVariable struct{ name, expression string }

func admissionVariables() []admissionVariable {
	return []admissionVariable{
		{"volumes", oursIn("object")},
		{"before", "oldObject == null ? [] : " + oursIn("oldObject")},
		// What was there before this policy stays as it was, whatever else of the object changes.
		{"changed", `request.operation == 'UPDATE' && variables.volumes == variables.before ? [] : variables.volumes`},
		{"attributes", `variables.changed.map(c, has(c.volumeAttributes) ? c.volumeAttributes : {})`},
		{"connections", listsOf("connections")},
		{"keys", listsOf("variables")},
		{"keyless", listsOf("keyless")},
		{"pasted", fmt.Sprintf(`(variables.connections + variables.keys + variables.keyless).filter(t, t.contains('://') || t.lowerAscii().contains('password=')
			|| t.split(',').exists(i, i.contains('{') && i.contains('"'))).map(t, %s)`,
			cel(attributesField+": it looks like a connection; write its id, and change the password if there was one"))},
		{"badIds", badIDs("connections", `!id.matches(r'^[\p{L}\p{N}_#!().:/\\-]+$')`, "conn_id",
			`a character is not allowed; Airflow allows letters, digits and _ # ! ( ) - . : / \; write a comma between two ids`)},
		{"badKeys", badIDs("keys", `id.matches(r'[=?*\p{Cc}]')`, "variable key", "a character cannot stand in the name of an environment variable")},
		{"badKeyless", badIDs("keyless", `!id.matches(r'^[\p{L}\p{N}_#!().:/\\-]+$')`, "conn_id",
			`a character is not allowed; Airflow allows letters, digits and _ # ! ( ) - . : / \; write a comma between two ids`)},
		{"unknown", fmt.Sprintf(`variables.attributes.map(a, a.filter(k, !k.startsWith(%s) && !(k in [%s])).map(k,
			%s + (k.matches('^[!-~]+$') ? '.' + %s : '[' + %s + ']') + (k == 'provider' ? %s : %s)).join('; ')).filter(t, t != '')`,
			cel(kubeletPrefix), celList(attribute.Names()), cel(attributesField), shortened("k"), quoted("k"),
			cel(fmt.Sprintf(`: is not an attribute; it is called %q now`, attribute.Source)),
			cel(": is not an attribute; there are "+strings.Join(attribute.Names(), ", ")))},
		{"nothing", fmt.Sprintf(`variables.attributes.filter(a, !['connections', 'variables'].exists(k, k in a && a[k].trim() != '')).map(a, %s)`,
			cel(attributesField+`: nothing is asked for; list ids under "connections" or "variables"`))},
		{"mistakes", `variables.changed.filter(c, has(c.fsType) && !(c.fsType in ['', 'tmpfs']))
			.map(c, 'volumes[].csi.fsType: ' + ` + quoted("c.fsType") + ` + ' cannot be had, secrets live on tmpfs only; leave the field out')
			+ variables.changed.filter(c, !has(c.readOnly) || !c.readOnly).map(c, 'volumes[].csi.readOnly: must be true; a pod cannot write to its secrets')
			+ (variables.pasted.size() > 0 ? variables.pasted : variables.badIds + variables.badKeys + variables.badKeyless) + variables.unknown + variables.nothing`},
	}
}

// oursIn are the driver's volumes in an object: a pod, or what has a template of one.
func oursIn(object string) string {
	spec := strings.ReplaceAll(`(has(dyn(X).spec.jobTemplate) ? dyn(X).spec.jobTemplate.spec.template.spec
		: has(dyn(X).spec.template) ? dyn(X).spec.template.spec : dyn(X).spec)`, "X", object)
	return "(has(" + spec + ".volumes) ? " + spec + ".volumes : []).filter(v, has(v.csi) && v.csi.driver == " + cel(Name) + ").map(v, v.csi)"
}

// listsOf are the texts that list ids, without those that ask for nothing or for everything.
func listsOf(attribute string) string {
	return fmt.Sprintf(`variables.attributes.filter(a, %[1]s in a && !(a[%[1]s].trim() in ['', '*'])).map(a, a[%[1]s])`, cel(attribute))
}

// badIDs are the mistakes in all lists of one kind, which are parted as parseItem does.
func badIDs(lists, isOdd, what, odd string) string {
	attribute := map[string]string{"keys": "variables"}[lists]
	if attribute == "" {
		attribute = lists
	}
	return fmt.Sprintf(`(variables.%[1]s.size() == 0 ? [] : variables.%[1]s.join(',').split(','))
		.map(i, i.trim()).map(i, i.endsWith('?') ? i.substring(0, i.size() - 1) : i)
		.map(i, i.lastIndexOf('@') < 0 ? i : i.substring(0, i.lastIndexOf('@')))
		.filter(id, id == '' || id == '*' || id.size() > 250 || %[2]s)
		.map(id, %[3]s + (id == '' ? 'it is empty; write ids with one comma between them'
		: id == '*' ? '"*" asks for everything and stands alone, without ids and without "?"'
		: id.contains('?') ? %[4]s + ' has a "?" inside; one "?" at the end makes an id optional'
		: id.contains('*') ? %[4]s + ' is a pattern, which only core\'s rules take; list the ids, or write "*" alone for all'
		: id.size() > 250 ? %[5]s + %[4]s + ' has ' + string(id.size()) + ' characters; Airflow holds 250'
		: %[5]s + %[4]s + %[6]s))`,
		lists, isOdd, cel(attributesField+"."+attribute+": "), quoted("id"), cel("checking "+what+": "), cel(": "+odd))
}

// shortened and quoted are as in the driver's messages, but that a letter outside ASCII stays one.
func shortened(text string) string {
	return strings.ReplaceAll(`(X.size() > 64 ? X.substring(0, 64) + '…' : X)`, "X", text)
}

func quoted(text string) string { return "strings.quote" + shortened(text) }

func cel(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

func celList(texts []string) string {
	for i, text := range texts {
		texts[i] = cel(text)
	}
	return strings.Join(texts, ", ")
}
