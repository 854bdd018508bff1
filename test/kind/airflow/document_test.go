package airflow

import (
	"crypto/rand"
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/leoflow/secrets-csi/test/console"
	"github.com/leoflow/secrets-csi/test/kind/chart"
)

const (
	image    = "localhost/leoflow/airflow:test"
	document = "docs/pods.md"
)

// documented is the file that the document tells to make.
func (a *installation) documented(file string) string {
	a.Helper()
	parsed, err := console.Parse(document, a.document())
	require.NoError(a, err)
	i := slices.IndexFunc(parsed.Steps, func(step console.Step) bool { return step.File == file })
	require.GreaterOrEqual(a, i, 0, "%s has no %s", document, file)
	return parsed.Steps[i].Content
}

func (a *installation) document() string {
	a.Helper()
	text, err := os.ReadFile("../../../" + document)
	require.NoError(a, err)
	return string(text)
}

// override is the Python that the document has for a task that asks for its own entries.
func (a *installation) override() string {
	a.Helper()
	for _, block := range regexp.MustCompile("(?s)```python\n(.*?)```").FindAllStringSubmatch(a.document(), -1) {
		if strings.Contains(block[1], "pod_override") {
			return block[1]
		}
	}
	require.Fail(a, document+" has no pod_override")
	return ""
}

// stored are objects with files in them, and service accounts.
type stored struct {
	configMaps map[string]map[string]string
	accounts   []string
}

// manifests are what the programs of an Airflow find beside their image.
func (a *installation) manifests() stored {
	a.Helper()
	template := &corev1.Pod{}
	require.NoError(a, yaml.UnmarshalStrict([]byte(a.documented("pod-template.yaml")), template))
	a.fit(&template.Spec)
	backend := template.DeepCopy()
	main := &backend.Spec.Containers[0]
	main.Command = slices.Insert(main.Command, slices.Index(main.Command, "exec")+1, "--airflow-backend")
	bare := template.DeepCopy()
	main = &bare.Spec.Containers[0]
	bare.Spec.Volumes = slices.DeleteFunc(bare.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == "leoflow" })
	main.VolumeMounts = slices.DeleteFunc(main.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "leoflow" })

	templates := map[string]string{}
	for file, pod := range map[string]*corev1.Pod{"pod-template.yaml": template, "backend.yaml": backend, "bare.yaml": bare, "plain.yaml": plain(template)} {
		content, err := yaml.Marshal(pod)
		require.NoError(a, err)
		templates[file] = string(content)
	}
	return stored{
		configMaps: map[string]map[string]string{
			"airflow-templates": templates, "airflow-dags": a.dags(),
			"airflow-config": {"airflow_local_settings.py": a.content("testdata/local_settings.py")},
		},
		accounts: []string{"airflow-worker", "airflow-triggerer", "billing"},
	}
}

// plain is the template without anything of Leoflow, which the platform's hook is to add. The hook
// is beside it, for tasks that make pods by themselves.
func plain(template *corev1.Pod) *corev1.Pod {
	pod := template.DeepCopy()
	pod.Spec.InitContainers = nil
	isOurs := func(name string) bool { return name == "leoflow" || name == "agent" }
	pod.Spec.Volumes = slices.DeleteFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return isOurs(v.Name) })
	main := &pod.Spec.Containers[0]
	main.Command = main.Command[slices.Index(main.Command, "--")+1:]
	main.VolumeMounts = slices.DeleteFunc(main.VolumeMounts, func(m corev1.VolumeMount) bool { return isOurs(m.Name) })
	main.VolumeMounts = append(main.VolumeMounts, corev1.VolumeMount{Name: "config", MountPath: "/opt/airflow/config", ReadOnly: true})
	pod.Spec.Volumes = append(pod.Spec.Volumes, configMap("config", "airflow-config"))
	return pod
}

func configMap(name, of string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: of}},
	}}
}

// fit replaces the images, and brings the DAGs, which the document leaves to the reader.
func (a *installation) fit(spec *corev1.PodSpec) {
	spec.InitContainers[0].Image = chart.Agent()
	main := &spec.Containers[0]
	main.Image = image
	main.VolumeMounts = append(main.VolumeMounts, corev1.VolumeMount{Name: "dags", MountPath: "/opt/airflow/dags", ReadOnly: true})
	spec.Volumes = append(spec.Volumes, configMap("dags", "airflow-dags"))
}

// dags are the files of testdata/dags, with the Python of the document.
func (a *installation) dags() map[string]string {
	a.Helper()
	files := map[string]string{"documented.py": a.override()}
	directory, err := os.ReadDir("testdata/dags")
	require.NoError(a, err)
	for _, file := range directory {
		files[file.Name()] = a.content(filepath.Join("testdata/dags", file.Name()))
	}
	return files
}

// content is a file's, with the id of the DAG and the image of the agent.
func (a *installation) content(path string) string {
	a.Helper()
	content, err := os.ReadFile(path)
	require.NoError(a, err)
	return strings.NewReplacer("CONTROL", a.dag, "AGENT", chart.Agent()).Replace(string(content))
}

// store creates the objects, and the keys that Airflow's programs share.
func (a *installation) store(objects stored) {
	a.Helper()
	for _, name := range objects.accounts {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := a.Client.CoreV1().ServiceAccounts(a.Namespace).Create(a.Ctx, account, metav1.CreateOptions{})
		require.NoError(a, err)
	}
	for name, files := range objects.configMaps {
		_, err := a.Client.CoreV1().ConfigMaps(a.Namespace).Create(a.Ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Data: files,
		}, metav1.CreateOptions{})
		require.NoError(a, err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	_, err := a.Client.CoreV1().Secrets(a.Namespace).Create(a.Ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "airflow-keys"},
		StringData: map[string]string{
			"AIRFLOW__CORE__FERNET_KEY": base64.URLEncoding.EncodeToString(key), "AIRFLOW__API__SECRET_KEY": rand.Text(),
			"AIRFLOW__API_AUTH__JWT_SECRET": strings.Repeat(rand.Text(), 3),
		},
	}, metav1.CreateOptions{})
	require.NoError(a, err)
}

// createTriggerer is the document's worker with other arguments, as the document says.
func (a *installation) createTriggerer() {
	a.Helper()
	triggerer := &appsv1.Deployment{}
	require.NoError(a, yaml.UnmarshalStrict([]byte(a.documented("worker.yaml")), triggerer))
	triggerer.Name = "airflow-triggerer"
	labels := map[string]string{"app": triggerer.Name}
	triggerer.Spec.Selector.MatchLabels = labels
	triggerer.Spec.Template.Labels = maps.Clone(labels)
	spec := &triggerer.Spec.Template.Spec
	spec.ServiceAccountName = triggerer.Name
	a.fit(spec)
	main := &spec.Containers[0]
	main.Args = []string{"airflow", "triggerer"}
	main.Env = append(main.Env, corev1.EnvVar{Name: "PYTHONPATH", Value: "/opt/airflow/dags"})
	main.EnvFrom = []corev1.EnvFromSource{
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "airflow-settings"}}},
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "airflow-keys"}}},
	}
	_, err := a.Client.AppsV1().Deployments(a.Namespace).Create(a.Ctx, triggerer, metav1.CreateOptions{})
	require.NoError(a, err)
}
