package chart

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/csi/csitest"
)

// judge is a policy of the chart as the API server evaluates it.
type judge struct {
	validating.Validator
	*testing.T
}

// newJudge compiles a policy as the API server of a version does.
func newJudge(t *testing.T, policy *admissionv1.ValidatingAdmissionPolicy, minor uint) judge {
	t.Helper()
	var none cel.OptionalVariableDeclarations
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(version.MajorMinor(1, minor)))
	require.NoError(t, err)
	var variables []cel.NamedExpressionAccessor
	for _, variable := range policy.Spec.Variables {
		variables = append(variables, &validating.Variable{Name: variable.Name, Expression: variable.Expression})
	}
	compiler.CompileAndStoreVariables(variables, none, environment.StoredExpressions)
	var rules, messages []cel.ExpressionAccessor
	for _, rule := range policy.Spec.Validations {
		rules = append(rules, &validating.ValidationCondition{Expression: rule.Expression, Message: rule.Message, Reason: rule.Reason})
		messages = append(messages, &validating.MessageExpressionCondition{MessageExpression: cmp.Or(rule.MessageExpression, "''")})
	}
	compile := func(accessors []cel.ExpressionAccessor) cel.ConditionEvaluator {
		compiled := compiler.CompileCondition(accessors, none, environment.StoredExpressions)
		for _, err := range compiled.CompilationErrors() {
			require.NoError(t, err)
		}
		return compiled
	}
	fails := admissionv1.Fail // so that an error of CEL is seen, which the chart's own would pass over
	var conditions []cel.ExpressionAccessor
	for i := range policy.Spec.MatchConditions {
		conditions = append(conditions, (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[i]))
	}
	matcher := matchconditions.NewMatcher(compile(conditions), &fails, "policy", "validate", policy.Name)
	return judge{validating.NewValidator(compile(rules), matcher, compile(nil), compile(messages), &fails, nil), t}
}

// refusal is what the policy answers to anybody, "" for yes.
func (j judge) refusal(object, old runtime.Object) string {
	j.Helper()
	return j.refusalOf(object, old, &user.DefaultInfo{Name: "anybody"})
}

func (j judge) refusalOf(object, old runtime.Object, who user.Info) string {
	j.Helper()
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	require.NoError(j, err)
	operation := admission.Create
	if old != nil {
		operation = admission.Update
	}
	resource := schema.GroupVersionResource{Group: kinds[0].Group, Version: kinds[0].Version, Resource: strings.ToLower(kinds[0].Kind) + "s"}
	attributes := admission.NewAttributesRecord(object, old, kinds[0], "etl", "any", resource, "", operation, &metav1.CreateOptions{}, false, who)
	interfaces := admission.NewObjectInterfacesFromScheme(scheme.Scheme)
	versioned, err := admission.NewVersionedAttributes(attributes, kinds[0], interfaces)
	require.NoError(j, err)
	result := j.Validate(context.Background(), resource, versioned, nil, &corev1.Namespace{}, celconfig.RuntimeCELCostBudget, nil)
	for _, decision := range result.Decisions {
		if decision.Action != validating.ActionAdmit {
			require.Equal(j, validating.EvalDeny, decision.Evaluation, decision.Message)
			return decision.Message
		}
	}
	return ""
}

// podWith is a pod with the volume, among others.
func podWith(w csitest.Volume) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{
		{Name: "other", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "other.example.com", VolumeAttributes: map[string]string{"any": "thing"}}}},
		{Name: "disk", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "leoflow", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{
			Driver: csi.Name, ReadOnly: w.ReadOnly, FSType: w.FSType, VolumeAttributes: w.Attributes,
		}}},
	}}}
}

func volumePolicy(t *testing.T) *admissionv1.ValidatingAdmissionPolicy {
	t.Helper()
	return find[*admissionv1.ValidatingAdmissionPolicy](t, mustRender(t, newest, nil), "ValidatingAdmissionPolicy", csi.Name)
}

func asked(attributes map[string]string) csitest.Volume {
	return csitest.Volume{ReadOnly: new(true), Attributes: attributes}
}

// Every row of the driver's table of mistakes that is told at kubectl apply, in whatever makes the pod.
func TestAdmissionTellsMistakes(t *testing.T) {
	j := newJudge(t, volumePolicy(t), 30)
	long := strings.Repeat("x", 251)
	const field = "volumes[].csi.volumeAttributes"
	for name, row := range map[string]struct {
		csitest.Volume
		message string
	}{
		"misspelt":    {asked(map[string]string{"conections": "a"}), field + ".conections: is not an attribute; there are connections, variables, source, format, mode, refresh, keyless; " + field + `: nothing is asked for; list ids under "connections" or "variables"`},
		"odd name":    {asked(map[string]string{"a b": "", "connections": "a"}), field + `["a b"]: is not an attribute; there are connections, `},
		"provider":    {asked(map[string]string{"provider": "a", "connections": "a"}), field + `.provider: is not an attribute; it is called "source" now`},
		"readOnly":    {csitest.Volume{Attributes: map[string]string{"connections": "a"}}, "volumes[].csi.readOnly: must be true; a pod cannot write to its secrets"},
		"not":         {csitest.Volume{ReadOnly: new(false), Attributes: map[string]string{"connections": "a"}}, "volumes[].csi.readOnly: must be true; a pod cannot write to its secrets"},
		"fsType":      {csitest.Volume{FSType: new("ext4"), ReadOnly: new(true), Attributes: map[string]string{"connections": "a"}}, `volumes[].csi.fsType: "ext4" cannot be had, secrets live on tmpfs only; leave the field out`},
		"nothing":     {asked(nil), field + `: nothing is asked for; list ids under "connections" or "variables"`},
		"blank":       {asked(map[string]string{"connections": " ", "variables": ""}), field + ": nothing is asked for"},
		"blank id":    {asked(map[string]string{"connections": "a,,b"}), field + ".connections: it is empty; write ids with one comma between them"},
		"space":       {asked(map[string]string{"connections": "a, b c, d"}), field + `.connections: checking conn_id: "b c": a character is not allowed; Airflow allows letters, digits and _ # ! ( ) - . : / \; write a comma between two ids`},
		"pattern":     {asked(map[string]string{"variables": "a, batch_*?"}), field + `.variables: "batch_*" is a pattern, which only core's rules take; list the ids, or write "*" alone for all`},
		"equals":      {asked(map[string]string{"variables": "a=b"}), field + `.variables: checking variable key: "a=b": a character cannot stand in the name of an environment variable`},
		"star":        {asked(map[string]string{"connections": "a, *"}), field + `.connections: "*" asks for everything and stands alone, without ids and without "?"`},
		"mark":        {asked(map[string]string{"variables": "a?b"}), field + `.variables: "a?b" has a "?" inside; one "?" at the end makes an id optional`},
		"mark before": {asked(map[string]string{"connections": "a?@vault"}), field + `.connections: "a?" has a "?" inside`},
		"too long":    {asked(map[string]string{"connections": long}), field + `.connections: checking conn_id: "` + long[:64] + `…" has 251 characters; Airflow holds 250`},
		"keyless":     {asked(map[string]string{"connections": "a", "keyless": "a, b c"}), field + `.keyless: checking conn_id: "b c": a character is not allowed`},
		"keyless all": {asked(map[string]string{"connections": "a", "keyless": "a, *"}), field + `.keyless: "*" asks for everything and stands alone, without ids and without "?"`},
		"key, pasted": {asked(map[string]string{"connections": "a", "keyless": "aws://u:needle@"}), field + ": it looks like a connection"},
		"pasted":      {asked(map[string]string{"connections": "postgres://u:needle@h/db"}), field + ": it looks like a connection; write its id, and change the password if there was one"},
		"pasted JSON": {asked(map[string]string{"variables": `a, {"password": "needle"}`}), field + ": it looks like a connection"},
	} {
		require.Error(t, row.Check(), name)
		pod := podWith(row.Volume)
		message := j.refusal(pod, nil)
		assert.Contains(t, message, row.message, name)
		assert.NotContains(t, message, "needle", name)
		template := corev1.PodTemplateSpec{Spec: pod.Spec}
		for _, object := range []runtime.Object{
			&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Template: template}}, &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Template: template}},
			&appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: template}}, &batchv1.Job{Spec: batchv1.JobSpec{Template: template}},
			&batchv1.CronJob{Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}}}},
		} {
			assert.Equal(t, message, j.refusal(object, nil), "%s in a %T", name, object)
			assert.Empty(t, j.refusal(object, object), "%s in a %T that was there before", name, object)
			assert.Equal(t, message, j.refusal(object, withoutVolumes(object)), "%s in a %T that had none", name, object)
		}
	}
}

// withoutVolumes is the object as it was before somebody added a volume.
func withoutVolumes(object runtime.Object) runtime.Object {
	copied := object.DeepCopyObject()
	switch o := copied.(type) {
	case *appsv1.Deployment:
		o.Spec.Template.Spec.Volumes = nil
	case *appsv1.StatefulSet:
		o.Spec.Template.Spec.Volumes = nil
	case *appsv1.DaemonSet:
		o.Spec.Template.Spec.Volumes = nil
	case *batchv1.Job:
		o.Spec.Template.Spec.Volumes = nil
	case *batchv1.CronJob:
		o.Spec.JobTemplate.Spec.Template.Spec.Volumes = nil
	}
	return copied
}

// fuzzes is how many volumes are compared.
const fuzzes = 20_000

// What the driver would accept, nobody may refuse before it.
func TestAdmissionRefusesNothingThatTheDriverAccepts(t *testing.T) {
	j := newJudge(t, volumePolicy(t), 30)
	r := rand.New(rand.NewPCG(1, 2))
	accepted, refused, told := 0, 0, 0
	for range fuzzes {
		w := csitest.Fuzzed(r)
		for _, text := range w.Attributes {
			require.True(t, utf8.ValidString(text))
		}
		message, err := j.refusal(podWith(w), nil), w.Check()
		switch {
		case err == nil:
			accepted++
			require.Empty(t, message, "the driver accepts %q", w.Attributes)
		case message != "":
			told++
			fallthrough
		default:
			refused++
		}
	}
	t.Logf("of %d volumes the driver accepts %d and refuses %d, of which %d are told at kubectl apply", fuzzes, accepted, refused, told)
	assert.Greater(t, accepted, fuzzes/10)
	assert.Greater(t, told, refused*8/10)
}

// The most that a volume may list is reckoned within the API server's bounds, which would otherwise let it pass.
func TestAdmissionHasRoomForTheLongestLists(t *testing.T) {
	j := newJudge(t, volumePolicy(t), 30)
	ids := func(count, length int) string {
		var all []string
		for i := range count {
			all = append(all, fmt.Sprintf("%0*d", length, i))
		}
		return strings.Join(all, ",")
	}
	for _, attributes := range []map[string]string{
		{"connections": ids(1000, 20), "variables": ids(1000, 20), "keyless": ids(1000, 20)},
		{"connections": ids(1000, 250), "variables": ids(1000, 250), "keyless": ids(1000, 250)},
	} {
		w := asked(attributes)
		require.NoError(t, w.Check())
		assert.Empty(t, j.refusal(podWith(w), nil))
		w.Attributes = maps.Clone(attributes)
		w.Attributes["connections"] += ",a b"
		assert.Contains(t, j.refusal(podWith(w), nil), `"a b": a character is not allowed`, "%d bytes", len(w.Attributes["connections"]))
	}
}

func TestAdmissionIsLeftOutWhereItCannotBe(t *testing.T) {
	for _, files := range []map[string]string{
		mustRender(t, cluster{kubernetes: "v1.29.0"}, nil),
		mustRender(t, newest, readValues(t, "admission: {enabled: false}")),
	} {
		assert.False(t, slices.ContainsFunc(manifests(files), func(text string) bool { return strings.Contains(text, "ValidatingAdmissionPolicy") }))
	}
	binding := find[*admissionv1.ValidatingAdmissionPolicyBinding](t, mustRender(t, newest, nil), "ValidatingAdmissionPolicyBinding", csi.Name)
	assert.Equal(t, volumePolicy(t).Name, binding.Spec.PolicyName)
	assert.Equal(t, []admissionv1.ValidationAction{admissionv1.Deny}, binding.Spec.ValidationActions)
	assert.Equal(t, admissionv1.Ignore, *volumePolicy(t).Spec.FailurePolicy)
}
