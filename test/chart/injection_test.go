package chart

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// mutator is the chart's injection as the API server evaluates it.
type mutator struct {
	*testing.T
	compiler *cel.CompositedCompiler
	matcher  matchconditions.Matcher
	patchers []patch.Patcher
	judge    judge
}

const injecting = "injection: {enabled: true}"

func newMutator(t *testing.T) mutator {
	t.Helper()
	files := mustRender(t, newest, readValues(t, injecting))
	policy := find[*admissionv1.MutatingAdmissionPolicy](t, files, "MutatingAdmissionPolicy", "injection."+csi.Name)
	assert.Equal(t, admissionv1.Fail, *policy.Spec.FailurePolicy, "an annotated pod must not start without")
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(version.MajorMinor(1, 36)))
	require.NoError(t, err)
	var none cel.OptionalVariableDeclarations
	var variables []cel.NamedExpressionAccessor
	for _, variable := range policy.Spec.Variables {
		variables = append(variables, &validating.Variable{Name: variable.Name, Expression: variable.Expression})
	}
	compiler.CompileAndStoreVariables(variables, none, environment.StoredExpressions)
	var conditions []cel.ExpressionAccessor
	for i := range policy.Spec.MatchConditions {
		conditions = append(conditions, (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[i]))
	}
	compiled := compiler.CompileCondition(conditions, none, environment.StoredExpressions)
	require.Empty(t, compiled.CompilationErrors())
	m := mutator{T: t, compiler: compiler, matcher: matchconditions.NewMatcher(compiled, policy.Spec.FailurePolicy, "policy", "mutate", policy.Name)}
	for _, mutation := range policy.Spec.Mutations {
		evaluator := compiler.CompileMutatingEvaluator(&patch.JSONPatchCondition{Expression: mutation.JSONPatch.Expression},
			cel.OptionalVariableDeclarations{HasPatchTypes: true}, environment.StoredExpressions)
		require.Empty(t, evaluator.CompilationErrors())
		m.patchers = append(m.patchers, patch.NewJSONPatcher(evaluator))
	}
	m.judge = newJudge(t, find[*admissionv1.ValidatingAdmissionPolicy](t, files, "ValidatingAdmissionPolicy", "injection."+csi.Name), 36)
	return m
}

// inject is the pod as it becomes, and what the validating policies say to that.
func (m mutator) inject(pod *corev1.Pod) (*corev1.Pod, string) {
	m.Helper()
	kind := schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
	resource := schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	interfaces := admission.NewObjectInterfacesFromScheme(scheme.Scheme)
	pod = pod.DeepCopy()
	pod.APIVersion, pod.Kind = "v1", "Pod"
	attributes := admission.NewAttributesRecord(pod, nil, kind, "etl", "any", resource, "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "anybody"})
	versioned, err := admission.NewVersionedAttributes(attributes, kind, interfaces)
	require.NoError(m, err)
	matched := m.matcher.Match(context.Background(), versioned, nil, nil)
	require.NoError(m, matched.Error)
	if matched.Matches {
		for _, patcher := range m.patchers {
			object, err := patcher.Patch(m.compiler.CreateContext(context.Background()), patch.Request{
				MatchedResource: resource, VersionedAttributes: versioned, ObjectInterfaces: interfaces, Namespace: &corev1.Namespace{},
			}, celconfig.RuntimeCELCostBudget)
			require.NoError(m, err)
			versioned, err = admission.NewVersionedAttributes(admission.NewAttributesRecord(object, nil, kind, "etl", "any", resource, "", admission.Create, &metav1.CreateOptions{}, false, nil), kind, interfaces)
			require.NoError(m, err)
			pod = object.(*corev1.Pod)
		}
	}
	return pod, m.judge.refusal(pod, nil)
}

func annotated(annotations ...string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "any", Annotations: map[string]string{"other": "stays"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "vendor"}}},
	}
	for i := 0; i < len(annotations); i += 2 {
		pod.Annotations[csi.Name+"/"+annotations[i]] = annotations[i+1]
	}
	return pod
}

// names are the variables of a container that come from the file, those that may be absent with a "?".
func fileVariables(container corev1.Container) (names []string) {
	for _, variable := range container.Env {
		if from := variable.ValueFrom; from != nil && from.FileKeyRef != nil {
			name := variable.Name
			if from.FileKeyRef.Optional != nil && *from.FileKeyRef.Optional {
				name += "?"
			}
			names = append(names, name)
		}
	}
	return names
}

func TestAnnotationsBecomeAnEnvironment(t *testing.T) {
	m := newMutator(t)
	pod, refusal := m.inject(annotated("connections", " warehouse ,reporting? , my-conn.a@vault", "variables", "region"))
	require.Empty(t, refusal)
	assert.Equal(t, []string{"AIRFLOW_CONN_WAREHOUSE", "AIRFLOW_CONN_REPORTING?", "AIRFLOW_CONN_MY-CONN.A", "AIRFLOW_VAR_REGION"}, fileVariables(pod.Spec.Containers[0]))
	require.Len(t, pod.Spec.Volumes, 2)
	assert.Equal(t, corev1.StorageMediumMemory, pod.Spec.Volumes[0].EmptyDir.Medium)
	inline := pod.Spec.Volumes[1].CSI
	assert.True(t, *inline.ReadOnly)
	assert.Equal(t, map[string]string{"connections": " warehouse ,reporting? , my-conn.a@vault", "variables": "region", "mode": "0444"}, inline.VolumeAttributes)
	assert.NoError(t, csi.Check("", *inline.ReadOnly, inline.VolumeAttributes, []string{"core", "vault"}))
	require.Len(t, pod.Spec.InitContainers, 1)
	env := pod.Spec.InitContainers[0]
	assert.Equal(t, []string{"env", "--format=kubelet", "--output=/env/leoflow"}, env.Args)
	assert.Len(t, env.VolumeMounts, 2)
	assert.True(t, *env.SecurityContext.RunAsNonRoot && *env.SecurityContext.ReadOnlyRootFilesystem)

	again, refusal := m.inject(pod)
	assert.Empty(t, refusal)
	assert.Equal(t, pod.Spec, again.Spec, "once is enough")
}

func TestInjectionLeavesWhatThePodSets(t *testing.T) {
	m := newMutator(t)
	pod := annotated("variables", "region, other", "on-rotate", "restart")
	pod.Spec.Volumes = []corev1.Volume{{Name: "leoflow"}, {Name: "data"}}
	pod.Spec.InitContainers = []corev1.Container{{Name: "first"}}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "second", Env: []corev1.EnvVar{{Name: "AIRFLOW_VAR_REGION", Value: "mine"}}})
	pod, refusal := m.inject(pod)
	require.Empty(t, refusal)
	var names []string
	for _, container := range pod.Spec.InitContainers {
		names = append(names, container.Name)
	}
	assert.Equal(t, []string{"leoflow-env", "leoflow-rotation", "first"}, names)
	rotation := pod.Spec.InitContainers[1]
	assert.Equal(t, corev1.ContainerRestartPolicyAlways, *rotation.RestartPolicy)
	assert.Equal(t, []int32{42}, rotation.RestartPolicyRules[0].ExitCodes.Values)
	assert.Equal(t, []string{"AIRFLOW_VAR_REGION", "AIRFLOW_VAR_OTHER"}, fileVariables(pod.Spec.Containers[0]))
	assert.Equal(t, []string{"AIRFLOW_VAR_OTHER"}, fileVariables(pod.Spec.Containers[1]))
	assert.Equal(t, "mine", pod.Spec.Containers[1].Env[0].Value)
	assert.Equal(t, map[string]string{"variables": "region, other", "mode": "0444"}, pod.Spec.Volumes[3].CSI.VolumeAttributes, "an empty attribute would be refused")
	assert.Equal(t, "leoflow", pod.Spec.Volumes[0].Name)

	plain := annotated()
	untouched, refusal := m.inject(plain)
	assert.Empty(t, refusal)
	assert.Equal(t, plain.Spec, untouched.Spec)
}

// Init containers of ours are nobody's root, also in a pod of root's; otherwise the pod's user stays, which a cluster may
// prescribe.
func TestInjectionGoesIntoPodsOfRoot(t *testing.T) {
	m := newMutator(t)
	for user, want := range map[int64]*int64{0: new(int64(65532)), 1000: nil} {
		pod := annotated("connections", "a", "on-rotate", "restart")
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &user}
		pod, refusal := m.inject(pod)
		require.Empty(t, refusal)
		require.Len(t, pod.Spec.InitContainers, 2)
		for _, container := range pod.Spec.InitContainers {
			assert.True(t, *container.SecurityContext.RunAsNonRoot, "kubelet starts no such container as root")
			assert.Equal(t, want, container.SecurityContext.RunAsUser, container.Name)
		}
	}
}

// A pod that has of its own what is called as ours is not taken for one that was injected.
func TestAnotherVolumeOfTheNameIsNoInjection(t *testing.T) {
	m := newMutator(t)
	for name, own := range map[string]corev1.PodSpec{
		"a volume":          {Volumes: []corev1.Volume{{Name: "leoflow-env"}}},
		"both volumes":      {Volumes: []corev1.Volume{{Name: "leoflow-env"}, {Name: "leoflow-injected"}}},
		"an init container": {Volumes: []corev1.Volume{{Name: "leoflow-env"}}, InitContainers: []corev1.Container{{Name: "leoflow-env"}}},
	} {
		pod := annotated("connections", "a")
		pod.Spec.Volumes, pod.Spec.InitContainers = own.Volumes, own.InitContainers
		pod, refusal := m.inject(pod)
		assert.Empty(t, fileVariables(pod.Spec.Containers[0]), name)
		assert.Contains(t, refusal, "this pod is annotated and was not injected", name)
	}
}

// Of connections without credentials the containers get the variables by which SDKs find the pod's identity, and the
// files where these say; of a cloud of which a container sets anything itself, none.
func TestInjectionBringsAnIdentity(t *testing.T) {
	m := newMutator(t)
	pod := annotated("connections", "lake", "keyless", "lake?")
	pod.Spec.Containers = append(pod.Spec.Containers,
		corev1.Container{Name: "keyed", Env: []corev1.EnvVar{{Name: "AWS_SECRET_ACCESS_KEY", Value: "mine"}, {Name: "AZURE_TENANT_ID", Value: "mine"}}},
		corev1.Container{Name: "mounted", VolumeMounts: []corev1.VolumeMount{{Name: "own", MountPath: layout.DefaultDir}}},
		corev1.Container{Name: "slashed", VolumeMounts: []corev1.VolumeMount{{Name: "own", MountPath: layout.DefaultDir + "/"}}})
	pod, refusal := m.inject(pod)
	require.Empty(t, refusal)
	all := []string{"AIRFLOW_CONN_LAKE"}
	for _, cloud := range []string{"gcp", "aws", "azure"} {
		stored := 0
		if cloud != "gcp" {
			stored = 3
		}
		names := layout.IdentityVariables(cloud)
		for _, name := range names[:len(names)-stored] {
			all = append(all, name+"?")
		}
	}
	assert.Equal(t, all, fileVariables(pod.Spec.Containers[0]))
	assert.Equal(t, []string{"AIRFLOW_CONN_LAKE", "GOOGLE_APPLICATION_CREDENTIALS?"}, fileVariables(pod.Spec.Containers[1]))
	assert.Equal(t, all, fileVariables(pod.Spec.Containers[2]))
	for i, want := range []string{"leoflow-injected", "leoflow-injected", "own", "own"} {
		mounts := pod.Spec.Containers[i].VolumeMounts
		require.Len(t, mounts, 1)
		assert.Equal(t, want, mounts[0].Name)
		assert.Equal(t, layout.DefaultDir, strings.TrimSuffix(mounts[0].MountPath, "/"))
	}
	assert.True(t, pod.Spec.Containers[0].VolumeMounts[0].ReadOnly)
	inline := pod.Spec.Volumes[1].CSI
	assert.Equal(t, map[string]string{"connections": "lake", "keyless": "lake?", "mode": "0444"}, inline.VolumeAttributes)
	require.NoError(t, csi.Check("", true, inline.VolumeAttributes, []string{"core"}))
	again, refusal := m.inject(pod)
	assert.Empty(t, refusal)
	assert.Equal(t, pod.Spec, again.Spec, "once is enough")

	for _, cloud := range []string{"gcp", "aws", "azure"} {
		for _, name := range layout.IdentityVariables(cloud) {
			pod := annotated("connections", "lake", "keyless", "*")
			pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: name, Value: "mine"}}
			pod, refusal := m.inject(pod)
			require.Empty(t, refusal)
			for _, other := range layout.IdentityVariables(cloud) {
				assert.NotContains(t, fileVariables(pod.Spec.Containers[0]), other+"?", "beside %s", name)
			}
		}
	}
	pod, refusal = m.inject(annotated("connections", "lake", "keyless", "*"))
	require.Empty(t, refusal)
	assert.Equal(t, all, fileVariables(pod.Spec.Containers[0]))
	for _, none := range [][]string{{"connections", "lake"}, {"connections", "lake", "keyless", " "}} {
		pod, refusal = m.inject(annotated(none...))
		require.Empty(t, refusal)
		assert.Equal(t, []string{"AIRFLOW_CONN_LAKE"}, fileVariables(pod.Spec.Containers[0]))
		assert.Empty(t, pod.Spec.Containers[0].VolumeMounts)
	}
}

func TestInjectionHasRoomForManyIDs(t *testing.T) {
	m := newMutator(t)
	for _, count := range []int{500, 1000} {
		injectMany(t, m, count)
	}
	_, refusal := m.inject(annotated("connections", "same", "variables", "same"))
	assert.Empty(t, refusal, "a connection and a variable are two")
}

func injectMany(t *testing.T, m mutator, count int) {
	var ids []string
	for i := range count {
		ids = append(ids, fmt.Sprintf("connection_%d", i))
	}
	pod := annotated("connections", strings.Join(ids, ", "), "keyless", strings.Join(ids, ", "))
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "second"}, corev1.Container{Name: "third"})
	pod, refusal := m.inject(pod)
	assert.Empty(t, refusal)
	assert.Len(t, fileVariables(pod.Spec.Containers[2]), count+9)
}

func TestWhatCannotBeInjectedIsRefused(t *testing.T) {
	m := newMutator(t)
	for message, annotations := range map[string][]string{
		`metadata.annotations[secrets.csi.leoflow.io/connections]: "*" cannot be injected: a variable of an environment file is named in the pod; list ids`: {"connections", "*"},
		`metadata.annotations[secrets.csi.leoflow.io/variables]: "*" cannot be injected`:                                                                    {"variables", "a, *"},
		`metadata.annotations[secrets.csi.leoflow.io/variables]: "*" stands in an id`:                                                                       {"variables", "a*"},
		`metadata.annotations[secrets.csi.leoflow.io/connections]: is no list of ids that can be injected`:                                                  {"connections", "a b"},
		`[secrets.csi.leoflow.io/connections]: is no list of ids`:                                                                                           {"connections", "a,,b"},
		`[secrets.csi.leoflow.io/variables]: is no list of ids`:                                                                                             {"variables", "région", "connections", "a"},
		`metadata.annotations[secrets.csi.leoflow.io/keyless]: is neither "*" nor a list of ids`:                                                            {"connections", "a", "keyless", "a, *"},
		`nothing is asked for; list ids under secrets.csi.leoflow.io/connections`:                                                                           {"keyless", "a"},
		`metadata.annotations: an id stands twice, or two ids become one variable, as Airflow writes them in capitals; list one`:                            {"connections", "a, b?,a@vault"},
		`an id stands twice, or two ids become one variable`:                                                                                                {"variables", "Region, region?", "connections", "region"},
		`metadata.annotations[secrets.csi.leoflow.io/connection]: is not an annotation of a pod; there are connections, variables, keyless, on-rotate`:      {"connection", "a"},
		`[secrets.csi.leoflow.io/on-rotation]: is not an annotation of a pod`:                                                                               {"connections", "a", "on-rotation", "restart"},
		`nothing is asked for`:           {"connections", " "},
		`nothing is asked for; list ids`: {"on-rotate", "restart"},
		`metadata.annotations[secrets.csi.leoflow.io/on-rotate]: can be restart, or be left out`:                        {"connections", "a", "on-rotate", "reload"},
		`metadata.annotations[secrets.csi.leoflow.io/on-rotate]: a restart would run the task of this pod again; leave`: {"connections", "a", "on-rotate", "restart"},
	} {
		pod := annotated(annotations...)
		if strings.Contains(message, "a restart would run the task") {
			pod.Labels = map[string]string{"kubernetes_executor": "True"}
		}
		_, refusal := m.inject(pod)
		assert.Contains(t, refusal, message, annotations)
	}
	assert.Contains(t, m.judge.refusal(annotated("connections", "a"), nil), "this pod is annotated and was not injected", "the policy that injects may be gone")
}

func TestInjectionIsRefusedWhereItCannotBe(t *testing.T) {
	_, err := render(t, cluster{kubernetes: "v1.35.4"}, readValues(t, injecting))
	assert.ErrorContains(t, err, "injection.enabled: needs Kubernetes 1.36; below, write the init container and fileKeyRef (1.35) or the agent into the pods, as docs/pods.md has them")
	for _, document := range manifests(mustRender(t, newest, nil)) {
		assert.NotContains(t, document, "MutatingAdmissionPolicy")
	}
}
